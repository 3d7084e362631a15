/* SPDX-License-Identifier: Apache-2.0 */
/* Writes that append, to a file that others make longer and shorter: they go to its end. */
#include "tests/unit/vmm/fs_client.h"

static char directory[] = "/tmp/cella-append-test.XXXXXX", path[64];
static uint64_t node, handle;

static int set_up(void **state)
{
	const struct fuse_open_in in = { .flags = O_WRONLY | O_APPEND };

	(void)state;
	init_flags2 = OWN_KERNEL;
	node = share_new_file(directory, path);
	assert_int_equal(ask(FUSE_OPEN, node, &in, sizeof(in)), 0);
	handle = reply.open.fh;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return remove_shared_file(directory, path);
}

static void guest_writes(char byte, uint64_t offset, uint32_t flags, uint32_t write_flags)
{
	struct {
		struct fuse_write_in in;
		char byte;
	} body = { { .fh = handle, .offset = offset, .size = 1, .flags = flags, .write_flags = write_flags }, byte };

	assert_int_equal(ask(FUSE_WRITE, node, &body, sizeof(body.in) + 1), 0);
	assert_int_equal(reply.write.size, 1);
}

static void file_is(const char *expected)
{
	char buf[16] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(read(fd, buf, sizeof(buf) - 1) >= 0);
	close(fd);
	assert_string_equal(buf, expected);
}

static void host_appends(char byte)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);

	assert_int_equal(write(fd, &byte, 1), 1);
	close(fd);
}

static void test_the_end_is_where_the_host_has_it(void **state)
{
	(void)state;
	guest_writes('a', 0, O_WRONLY | O_APPEND, 0);
	host_appends('b');
	guest_writes('c', 1, O_WRONLY | O_APPEND, 0);
	file_is("abc");
	assert_int_equal(truncate(path, 0), 0);
	guest_writes('d', 3, O_WRONLY | O_APPEND, 0);
	file_is("d");
}

static void test_other_writes_go_where_they_say(void **state)
{
	(void)state;
	guest_writes('a', 0, O_WRONLY, 0);
	host_appends('b');
	guest_writes('c', 0, O_WRONLY, 0);
	file_is("cb");
	/* A page that a mapping has changed, written back through a file that appends. */
	guest_writes('d', 1, O_WRONLY | O_APPEND, FUSE_WRITE_CACHE);
	file_is("cd");
}

static void test_what_was_opened_for_reading_is_not_appended_to(void **state)
{
	const struct fuse_open_in open_in = { .flags = O_RDONLY };
	struct {
		struct fuse_write_in in;
		char byte;
	} body = { { .size = 1, .flags = O_APPEND }, 'a' };

	(void)state;
	assert_int_equal(ask(FUSE_OPEN, node, &open_in, sizeof(open_in)), 0);
	body.in.fh = reply.open.fh;
	assert_int_equal(ask(FUSE_WRITE, node, &body, sizeof(body.in) + 1), -EBADF);
	file_is("");
}

static void test_another_kernel_says_where(void **state)
{
	const struct fuse_open_in in = { .flags = O_WRONLY | O_APPEND };

	(void)state;
	fs_server_free(server);
	init_flags2 = 0;
	node = share_file(directory);
	assert_int_equal(ask(FUSE_OPEN, node, &in, sizeof(in)), 0);
	handle = reply.open.fh;
	guest_writes('b', 1, O_WRONLY | O_APPEND, 0);
	guest_writes('a', 0, O_WRONLY | O_APPEND, 0);
	file_is("ab");
}

TESTS(cmocka_unit_test_setup_teardown(test_the_end_is_where_the_host_has_it, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_what_was_opened_for_reading_is_not_appended_to, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_another_kernel_says_where, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_other_writes_go_where_they_say, set_up, tear_down))
