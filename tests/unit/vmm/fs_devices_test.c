/* SPDX-License-Identifier: Apache-2.0 */
/* Device nodes of a guest's, what they are on the host, and what a guest can make of that. */
#include <dirent.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "tests/unit/vmm/fs_client.h"

#define ATTRIBUTE "user.cella.device"

static char directory[] = "/tmp/cella-devices-test.XXXXXX", path[64];
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

static int make_node(uint32_t mode, uint32_t rdev)
{
	struct {
		struct fuse_mknod_in in;
		char name[8];
	} body = { { .mode = mode, .rdev = rdev, .umask = 022 }, "file" };

	return ask(FUSE_MKNOD, parent, &body, sizeof(body.in) + strlen(body.name) + 1);
}

static int change_mode(uint32_t mode)
{
	struct fuse_setattr_in in = { .valid = FATTR_MODE, .mode = mode };

	return ask(FUSE_SETATTR, reply.entry.nodeid, &in, sizeof(in));
}

static struct stat on_host(void)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st;
}

static void test_a_node_is_an_empty_file_on_the_host(void **state)
{
	static const struct {
		uint32_t mode, seen;
		unsigned int major, minor;
		const char *text;
	} rows[] = {
		{ S_IFCHR | 0666, S_IFCHR | 0644, 1, 3, "c 1:3" },
		{ S_IFBLK | 0600, S_IFBLK | 0600, 259, 0x12345, "b 259:74565" },
		{ S_IFCHR | 01640, S_IFCHR | 01640, 4095, 0xfffff, "c 4095:1048575 t" },
		{ S_IFBLK | 0600, S_IFBLK | 0600, 0, 0, "b 0:0" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint32_t rdev = (uint32_t)makedev(rows[i].major, rows[i].minor);
		char text[32] = "";

		assert_int_equal(make_node(rows[i].mode, rdev), 0);
		assert_int_equal(reply.entry.attr.mode, rows[i].seen);
		assert_int_equal(reply.entry.attr.rdev, rdev);
		assert_int_equal(on_host().st_mode, S_IFREG | S_ISVTX | (rows[i].seen & 0777));
		assert_true(getxattr(path, ATTRIBUTE, text, sizeof(text) - 1) > 0);
		assert_string_equal(text, rows[i].text);
		assert_int_equal(unlink(path), 0);
	}
}

static void test_its_mode_is_the_nodes(void **state)
{
	(void)state;
	assert_int_equal(make_node(S_IFCHR | 0600, makedev(1, 5)), 0);
	assert_int_equal(change_mode(01444), 0);
	assert_int_equal(reply.attr.attr.mode, S_IFCHR | 01444);
	assert_int_equal(look_up(parent, "file"), 0);
	assert_int_equal(reply.entry.attr.mode, S_IFCHR | 01444);
	assert_int_equal(change_mode(0640), 0);
	assert_int_equal(reply.attr.attr.mode, S_IFCHR | 0640);
	assert_int_equal(on_host().st_mode, S_IFREG | S_ISVTX | 0640);
}

static void test_a_listing_has_its_type(void **state)
{
	struct fuse_open_in open_in = { 0 };
	struct fuse_read_in in = { .size = 1000 };
	const struct fuse_dirent *entry;
	unsigned int seen = 0;

	(void)state;
	assert_int_equal(make_node(S_IFBLK | 0600, makedev(7, 0)), 0);
	assert_int_equal(ask(FUSE_OPENDIR, parent, &open_in, sizeof(open_in)), 0);
	in.fh = reply.open.fh;
	assert_int_equal(ask(FUSE_READDIR, parent, &in, sizeof(in)), 0);
	for (size_t at = 0; at < reply.header.len - sizeof(reply.header); at += FUSE_DIRENT_SIZE(entry)) {
		entry = (const struct fuse_dirent *)(reply.bytes + at);
		if (entry->namelen == 4 && !memcmp(entry->name, "file", 4)) {
			assert_int_equal(entry->type, DT_BLK);
			seen++;
		}
	}
	assert_int_equal(seen, 1);
}

/* A whiteout is one on the host, too: overlays there and in the guest mean the same. */
static void test_a_whiteout_is_one(void **state)
{
	(void)state;
	assert_int_equal(make_node(S_IFCHR, 0), 0);
	assert_int_equal(reply.entry.attr.mode, S_IFCHR);
	assert_int_equal(on_host().st_mode, S_IFCHR);
	assert_int_equal(on_host().st_rdev, 0);
}

static void test_a_node_is_not_opened(void **state)
{
	struct fuse_open_in in = { .flags = O_WRONLY };

	(void)state;
	assert_int_equal(make_node(S_IFCHR | 0666, makedev(1, 3)), 0);
	assert_int_equal(ask(FUSE_OPEN, reply.entry.nodeid, &in, sizeof(in)), -ENXIO);
}

/* Whoever on the host has a file may write into it, and to its attributes, what he likes. */
static void test_what_only_looks_like_one(void **state)
{
	static const char *const texts[] = { "", "c", "c ", "c 1", "c 1:", "c :3", "c 1:3 ", "c 1:3 u", "c 1:3 tt", "c 1:3\n", "c  1:3",
					     "c 4096:1", "c 1:1048576", "c -1:3", "c 1:+3", "x 1:3", "c 99999999999999999999:3",
					     "c 1:99999999999999999999", "c 1:3 t with much more text than anybody needs here" };

	(void)state;
	assert_int_equal(close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)), 0);
	assert_int_equal(chmod(path, 01600), 0);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_int_equal(setxattr(path, ATTRIBUTE, texts[i], strlen(texts[i]), 0), 0);
		assert_int_equal(look_up(parent, "file"), 0);
		assert_int_equal(reply.entry.attr.mode, S_IFREG | 01600);
	}
	assert_int_equal(setxattr(path, ATTRIBUTE, "c 1:3", 5, 0), 0);
	assert_int_equal(look_up(parent, "file"), 0);
	assert_int_equal(reply.entry.attr.mode, S_IFCHR | 0600);
	/* Without the bit, or with contents, it is a file. */
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(look_up(parent, "file"), 0);
	assert_int_equal(reply.entry.attr.mode, S_IFREG | 0600);
	assert_int_equal(chmod(path, 01600), 0);
	assert_int_equal(truncate(path, 1), 0);
	assert_int_equal(look_up(parent, "file"), 0);
	assert_int_equal(reply.entry.attr.mode, S_IFREG | 01600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_node_is_an_empty_file_on_the_host, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_its_mode_is_the_nodes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_listing_has_its_type, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_whiteout_is_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_node_is_not_opened, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_only_looks_like_one, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
