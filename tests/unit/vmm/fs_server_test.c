/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/vmm/fs_client.h"

static char name[SHARE_DIRECTORY_MAX]; /* of the directory that the shares of /proc are in */
static uint64_t number;		       /* its node */

/* /proc and /dev/pts are file systems of the kernel's own, two. */
static int set_up(void **state)
{
	(void)state;
	start_server();
	share("process", "/proc/self");
	share("file", "/proc/version");
	share("terminals", "/dev/pts");
	number = shares_beside("/proc/version", name);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fs_server_free(server);
	return 0;
}

static void test_a_file_system_of_the_host_is_one_of_the_guests(void **state)
{
	(void)state;
	assert_true(reply.entry.attr.flags & FUSE_ATTR_SUBMOUNT);
	assert_true(S_ISDIR(reply.entry.attr.mode));
	assert_int_equal(look_up(number, "file"), 0);
	assert_false(reply.entry.attr.flags & FUSE_ATTR_SUBMOUNT);
	assert_true(S_ISREG(reply.entry.attr.mode));
	assert_int_equal(look_up(number, "process"), 0);
	assert_int_equal(look_up(reply.entry.nodeid, "status"), 0);
	assert_false(reply.entry.attr.flags & FUSE_ATTR_SUBMOUNT);
}

static void test_a_share_is_in_its_directory_only(void **state)
{
	(void)state;
	assert_int_equal(look_up(number, "terminals"), -ENOENT);
	assert_int_equal(look_up(FUSE_ROOT_ID, "file"), -ENOENT);
	assert_int_equal(look_up(FUSE_ROOT_ID, "0:0"), -ENOENT);
	assert_int_equal(look_up(UINT64_MAX, "file"), -ENOENT);
	assert_int_equal(look_up(number, name), -ENOENT);
}

static void test_a_guest_that_knows_no_submounts_is_told_of_none(void **state)
{
	struct fuse_init_in init = { .major = 7, .minor = 31 };

	(void)state;
	fs_server_reset(server);
	assert_int_equal(ask(FUSE_INIT, 0, &init, sizeof(init)), 0);
	assert_false(reply.init.flags & FUSE_SUBMOUNTS);
}

static void test_virtual_directories_are_read_only(void **state)
{
	const uint64_t directories[] = { FUSE_ROOT_ID, number };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(directories); i++) {
		const char mkdir_request[sizeof(struct fuse_mkdir_in) + 2] = { [sizeof(struct fuse_mkdir_in)] = 'd' };
		const struct fuse_getattr_in getattr = { 0 };

		assert_int_equal(ask(FUSE_MKDIR, directories[i], mkdir_request, sizeof(mkdir_request)), -EROFS);
		assert_int_equal(ask(FUSE_UNLINK, directories[i], "file", 5), -EROFS);
		assert_int_equal(ask(FUSE_GETATTR, directories[i], &getattr, sizeof(getattr)), 0);
		assert_int_equal(reply.attr.attr.mode, S_IFDIR | 0555);
	}
}

/* The names in a directory, each with a blank; those that come with a node, with a star, too. */
static const char *list_from(uint64_t directory, uint32_t opcode, uint64_t offset)
{
	static char names[256];
	struct fuse_read_in read = { .fh = UINT64_MAX, .offset = offset, .size = 2048 };
	size_t used = sizeof(reply.header);

	names[0] = '\0';
	assert_int_equal(ask(opcode, directory, &read, sizeof(read)), 0);
	while (used < reply.header.len) {
		const char *at = (const char *)&reply + used;
		const struct fuse_direntplus *plus = (const struct fuse_direntplus *)at;
		const struct fuse_dirent *entry = opcode == FUSE_READDIRPLUS ? &plus->dirent : (const struct fuse_dirent *)at;
		size_t len = strlen(names);

		snprintf(names + len, sizeof(names) - len, "%.*s%s ", (int)entry->namelen, entry->name,
			 opcode == FUSE_READDIRPLUS && plus->entry_out.nodeid ? "*" : "");
		used += opcode == FUSE_READDIRPLUS ? FUSE_DIRENTPLUS_SIZE(plus) : FUSE_DIRENT_SIZE(entry);
	}
	return names;
}

static const char *list(uint64_t directory, uint32_t opcode)
{
	return list_from(directory, opcode, 0);
}

static void test_virtual_directories_are_listed(void **state)
{
	char terminals[SHARE_DIRECTORY_MAX], root[64];
	struct stat st;

	(void)state;
	assert_int_equal(stat("/dev/pts", &st), 0);
	share_directory(terminals, st.st_dev);
	snprintf(root, sizeof(root), "%s %s ", terminals, name);
	assert_string_equal(list(FUSE_ROOT_ID, FUSE_READDIR), root);
	/* Without nodes: what has one is no mount. */
	assert_string_equal(list(FUSE_ROOT_ID, FUSE_READDIRPLUS), root);
	assert_string_equal(list(number, FUSE_READDIR), "file process ");
	assert_string_equal(list(number, FUSE_READDIRPLUS), "file* process* ");
	assert_string_equal(list_from(number, FUSE_READDIR, 2), "process ");
	assert_string_equal(list_from(number, FUSE_READDIR, 3), "");
	assert_string_equal(list_from(number, FUSE_READDIR, 1ULL << 63), "");
	assert_string_equal(list_from(number, FUSE_READDIR, UINT64_MAX), "");
}

static void test_a_share_that_is_taken_away_is_gone(void **state)
{
	(void)state;
	assert_int_equal(fs_server_remove_share(server, "file"), 0);
	assert_int_equal(look_up(number, "file"), -ENOENT);
	assert_int_equal(fs_server_remove_share(server, "process"), 0);
	assert_int_equal(look_up(FUSE_ROOT_ID, name), -ENOENT);
	assert_int_equal(fs_server_remove_share(server, "process"), -ENOENT);
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

TESTS(T(test_a_file_system_of_the_host_is_one_of_the_guests), T(test_a_share_is_in_its_directory_only),
      T(test_a_guest_that_knows_no_submounts_is_told_of_none), T(test_virtual_directories_are_read_only),
      T(test_virtual_directories_are_listed), T(test_a_share_that_is_taken_away_is_gone))
