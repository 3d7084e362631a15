/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/path.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "lib/io.h"
#include "tests/unit/test.h"

static char root_path[64];

static int make_root(void)
{
	strcpy(root_path, "/tmp/cella-path-test.XXXXXX");
	assert_non_null(mkdtemp(root_path));
	return open(root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static void remove_root(int root)
{
	struct err err;

	close(root);
	assert_int_equal(io_remove_tree(AT_FDCWD, root_path, &err), 0);
}

static void test_links_never_lead_out_of_the_root(void **state)
{
	int root = make_root(), fd;
	struct stat st;

	(void)state;
	assert_int_equal(symlinkat("/etc", root, "absolute"), 0);
	assert_int_equal(symlinkat("../../../../../../etc", root, "relative"), 0);
	assert_int_equal(path_open_in_root(root, "/absolute/passwd", O_PATH), -ENOENT);
	assert_int_equal(path_open_in_root(root, "/relative/passwd", O_PATH), -ENOENT);
	assert_int_equal(path_open_in_root(root, "../../../etc/passwd", O_PATH), -ENOENT);
	/* Below a link that points out, directories are made inside, or not at all. */
	fd = path_make_directory(root, "/absolute/made", 0755);
	assert_true(fd < 0);
	assert_true(stat("/etc/made", &st) < 0);
	remove_root(root);
}

static void test_directories_and_files_are_made_with_their_parents(void **state)
{
	int root = make_root(), fd;
	struct stat st;

	(void)state;
	fd = path_make_directory(root, "/a/b/c", 0755);
	assert_true(fd >= 0);
	close(fd);
	fd = path_make_file(root, "/x/y/file", 0644);
	assert_true(fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode));
	close(fd);
	/* What is there stays as it is. */
	fd = path_make_file(root, "/a/b", 0644);
	assert_true(fd >= 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode));
	close(fd);
	assert_int_equal(path_make_directory(root, "/x/y/file/z", 0755), -ENOTDIR);
	remove_root(root);
}

TESTS(cmocka_unit_test(test_links_never_lead_out_of_the_root),
      cmocka_unit_test(test_directories_and_files_are_made_with_their_parents))
