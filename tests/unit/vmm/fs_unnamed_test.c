/* SPDX-License-Identifier: Apache-2.0 */
/* Files without a name: open(2) with O_TMPFILE, which a guest may link into a directory later. */
#include "tests/unit/vmm/fs_client.h"

static char directory[] = "/tmp/cella-unnamed-test.XXXXXX", path[64];
static uint64_t parent;

static int set_up(void **state)
{
	(void)state;
	assert_int_equal(chdir("/proc/self/fd"), 0); /* as the jail is in */
	parent = share_new_directory(directory, path);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return remove_shared_file(directory, path);
}

/* Opens one; its node and the number of its handle. */
static int make_unnamed(uint64_t where, uint32_t flags, uint64_t *node, uint64_t *handle)
{
	struct {
		struct fuse_create_in in;
		char name[2];
	} body = { { .flags = O_TMPFILE | flags, .mode = S_IFREG | 0666, .umask = 027 }, "/" };
	int error = ask(FUSE_TMPFILE, where, &body, sizeof(body.in) + 2);

	if (error)
		return error;
	*node = reply.entry.nodeid;
	memcpy(handle, reply.bytes + sizeof(reply.entry), sizeof(*handle)); /* struct fuse_open_out */
	return 0;
}

static int write_to(uint64_t node, uint64_t handle, const char *text)
{
	struct {
		struct fuse_write_in in;
		char text[8];
	} body = { .in = { .fh = handle, .size = (uint32_t)strlen(text) } };

	strcpy(body.text, text);
	return ask(FUSE_WRITE, node, &body, sizeof(body.in) + strlen(text));
}

static int link_to(uint64_t node)
{
	struct {
		struct fuse_link_in in;
		char name[5];
	} body = { { .oldnodeid = node }, "file" };

	return ask(FUSE_LINK, parent, &body, sizeof(body.in) + sizeof(body.name));
}

static void test_it_is_in_no_directory_until_it_is_linked(void **state)
{
	char text[8] = "";
	uint64_t node = 0, handle = 0;
	int fd;

	(void)state;
	assert_int_equal(make_unnamed(parent, O_RDWR, &node, &handle), 0);
	assert_int_equal(reply.entry.attr.nlink, 0);
	assert_int_equal(reply.entry.attr.mode, S_IFREG | 0640);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(write_to(node, handle, "five\n"), 0);
	assert_int_equal(link_to(node), 0);
	assert_int_equal(reply.entry.nodeid, node);
	assert_int_equal(reply.entry.attr.nlink, 1);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, text, sizeof(text)), 5);
	assert_string_equal(text, "five\n");
	close(fd);
}

static void test_one_that_is_to_stay_without_a_name(void **state)
{
	uint64_t node = 0, handle = 0;

	(void)state;
	assert_int_equal(make_unnamed(parent, O_WRONLY | O_EXCL, &node, &handle), 0);
	assert_int_equal(link_to(node), -ENOENT);
}

static void test_where_there_is_no_directory_of_the_hosts(void **state)
{
	uint64_t node = 0, handle = 0;

	(void)state;
	/* Not ENOSYS, after which a guest would not ask again anywhere. */
	assert_int_equal(make_unnamed(FUSE_ROOT_ID, O_RDWR, &node, &handle), -EROFS);
	assert_int_equal(make_unnamed(parent, O_RDONLY, &node, &handle), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_it_is_in_no_directory_until_it_is_linked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_that_is_to_stay_without_a_name, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_where_there_is_no_directory_of_the_hosts, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
