/* SPDX-License-Identifier: Apache-2.0 */
/* Files with set-id bits, in a user namespace as the VMM's: there the host's kernel takes the bits with every change. */
#include <sched.h>

#include "tests/unit/vmm/fs_client.h"

static char directory[] = "/tmp/cella-set-id-test.XXXXXX", path[64];
static uint64_t node;	 /* the file's */
static uint64_t handle; /* open for reading and writing */

static void write_line(const char *to, const char *line)
{
	int fd = open(to, O_WRONLY | O_CLOEXEC);

	assert_int_equal(write(fd, line, strlen(line)), strlen(line));
	close(fd);
}

/* Only a process without threads may; the ids stay what they are. */
static int enter_user_namespace(void **state)
{
	char uids[32], gids[32];

	(void)state;
	snprintf(uids, sizeof(uids), "%u %u 1", geteuid(), geteuid());
	snprintf(gids, sizeof(gids), "%u %u 1", getegid(), getegid());
	assert_int_equal(unshare(CLONE_NEWUSER), 0);
	write_line("/proc/self/setgroups", "deny");
	write_line("/proc/self/uid_map", uids);
	write_line("/proc/self/gid_map", gids);
	return 0;
}

static mode_t mode(void)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static uint64_t open_file(int flags)
{
	const struct fuse_open_in in = { .flags = (uint32_t)flags };

	assert_int_equal(ask(FUSE_OPEN, node, &in, sizeof(in)), 0);
	return reply.open.fh;
}

static int set_up(void **state)
{
	(void)state;
	node = share_new_file(directory, path);
	write_line(path, "12345");
	handle = open_file(O_RDWR);
	assert_int_equal(chmod(path, 06755), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return remove_shared_file(directory, path);
}

static int set_attributes(uint32_t valid, mode_t new_mode)
{
	const struct fuse_setattr_in in = { .valid = valid, .fh = handle, .size = 1, .mode = new_mode, .uid = geteuid() };

	return ask(FUSE_SETATTR, node, &in, sizeof(in));
}

static void test_the_host_takes_them(void **state)
{
	(void)state;
	write_line(path, "x");
	assert_int_equal(mode(), 0755);
}

static void test_a_write_keeps_them(void **state)
{
	const struct {
		struct fuse_write_in in;
		char data;
	} write = { .in = { .fh = handle, .size = 1 }, .data = 'x' };

	(void)state;
	assert_int_equal(ask(FUSE_WRITE, node, &write, sizeof(write.in) + 1), 0);
	assert_int_equal(reply.write.size, 1);
	assert_int_equal(mode(), 06755);
}

static void test_a_truncation_keeps_them(void **state)
{
	(void)state;
	assert_int_equal(set_attributes(FATTR_SIZE | FATTR_FH, 0), 0);
	assert_int_equal(mode(), 06755);
	assert_int_equal(set_attributes(FATTR_SIZE, 0), 0);
	assert_int_equal(mode(), 06755);
	open_file(O_WRONLY | O_TRUNC);
	assert_int_equal(mode(), 06755);
}

static void test_allocation_and_copies_keep_them(void **state)
{
	const struct fuse_fallocate_in fallocate = { .fh = handle, .length = 10000 };
	const struct fuse_copy_file_range_in copy = { .fh_in = handle, .nodeid_out = node, .fh_out = handle, .off_out = 100, .len = 5 };

	(void)state;
	assert_int_equal(ask(FUSE_FALLOCATE, node, &fallocate, sizeof(fallocate)), 0);
	assert_int_equal(mode(), 06755);
	assert_int_equal(ask(FUSE_COPY_FILE_RANGE, node, &copy, sizeof(copy)), 0);
	assert_int_equal(reply.write.size, 5);
	assert_int_equal(mode(), 06755);
}

/* As the guest's kernel asks when the caller may not keep them, and before each change of owner. */
static void test_what_the_guest_takes_is_gone(void **state)
{
	(void)state;
	assert_int_equal(set_attributes(FATTR_MODE | FATTR_SIZE, 0755), 0);
	assert_int_equal(mode(), 0755);
	assert_int_equal(chmod(path, 06755), 0);
	assert_int_equal(set_attributes(FATTR_UID, 0), 0);
	assert_int_equal(mode(), 0755);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_host_takes_them),
		TEST(test_a_write_keeps_them),
		TEST(test_a_truncation_keeps_them),
		TEST(test_allocation_and_copies_keep_them),
		TEST(test_what_the_guest_takes_is_gone),
	};

	return cmocka_run_group_tests(tests, enter_user_namespace, NULL);
}
