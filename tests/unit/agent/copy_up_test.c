/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/copy_up.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "lib/io.h"
#include "tests/unit/test.h"

static char directory[64];
static int dir;

static int set_up(void **state)
{
	struct err err;

	(void)state;
	strcpy(directory, "/tmp/cella-copy-test.XXXXXX");
	assert_non_null(mkdtemp(directory));
	dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(io_mkdir_parents(dir, "from/sub/deep", 0755, &err), 0);
	return io_mkdir_parents(dir, "to", 0755, &err);
}

static int tear_down(void **state)
{
	struct err err;

	(void)state;
	close(dir);
	return io_remove_tree(AT_FDCWD, directory, &err);
}

static int copy(void)
{
	auto_fd from = openat(dir, "from", O_PATH | O_DIRECTORY), to = openat(dir, "to", O_PATH | O_DIRECTORY);
	struct err err;

	return copy_up(from, to, &err);
}

static void test_types_modes_and_contents(void **state)
{
	char link[32] = "";
	struct stat st;
	struct err err;
	char *text;
	size_t len;

	(void)state;
	assert_int_equal(io_replace_file(dir, "from/sub/file", "content", 7, 0640, &err), 0);
	assert_int_equal(symlinkat("../target", dir, "from/link"), 0);
	assert_int_equal(mkfifoat(dir, "from/fifo", 0600), 0);
	assert_int_equal(copy(), 0);
	text = io_read_file(dir, "to/sub/file", 100, &len, &err);
	assert_int_equal(len, 7);
	free(text);
	assert_int_equal(fstatat(dir, "to/sub/file", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(readlinkat(dir, "to/link", link, sizeof(link)), 9);
	assert_string_equal(link, "../target");
	assert_int_equal(fstatat(dir, "to/fifo", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISFIFO(st.st_mode));
	assert_int_equal(fstatat(dir, "to/sub/deep", &st, 0), 0);
}

/* A link to a directory is copied as a link: what lies behind it stays where it is. */
static void test_links_are_not_followed(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(symlinkat("/", dir, "from/root"), 0);
	assert_int_equal(copy(), 0);
	assert_int_equal(fstatat(dir, "to/root", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISLNK(st.st_mode));
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

TESTS(T(test_types_modes_and_contents), T(test_links_are_not_followed))
