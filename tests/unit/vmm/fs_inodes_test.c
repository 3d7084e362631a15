/* SPDX-License-Identifier: Apache-2.0 */
/* What is one inode to the guest, and what is two. */
#include "vmm/fs/inodes.h"

#include <fcntl.h>
#include <unistd.h>

#include "tests/unit/test.h"

static struct inodes inodes;

static int set_up(void **state)
{
	(void)state;
	inodes_init(&inodes, 8);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	inodes_clear(&inodes);
	return 0;
}

static struct inode *look_up(const struct stat *st, bool read_only)
{
	struct inode *inode;

	assert_int_equal(inodes_lookup(&inodes, open("/", O_PATH | O_CLOEXEC), st, read_only, &inode), 0);
	return inode;
}

static void test_a_file_is_one_inode_by_whatever_name(void **state)
{
	const struct stat file = { .st_dev = 1, .st_ino = 2, .st_mode = S_IFREG }, other = { .st_dev = 2, .st_ino = 2, .st_mode = S_IFREG };
	struct inode *inode = look_up(&file, false);

	(void)state;
	assert_ptr_equal(look_up(&file, false), inode);
	assert_int_equal(inode->lookups, 2);
	assert_ptr_not_equal(look_up(&other, false), inode);
}

static void test_on_a_read_only_mount_it_is_another(void **state)
{
	const struct stat file = { .st_dev = 1, .st_ino = 2, .st_mode = S_IFREG };
	struct inode *first = look_up(&file, true), *second = look_up(&file, false);

	(void)state;
	assert_ptr_not_equal(first, second);
	assert_int_not_equal(first->id, second->id);
	assert_int_not_equal(first->fd, second->fd);
	assert_ptr_equal(look_up(&file, true), first);
	assert_ptr_equal(look_up(&file, false), second);
	inodes_forget(&inodes, first->id, 2);
	assert_ptr_equal(look_up(&file, false), second);
}

static void test_a_number_that_is_used_again_is_another_file(void **state)
{
	const struct stat file = { .st_dev = 1, .st_ino = 2, .st_mode = S_IFREG }, fifo = { .st_dev = 1, .st_ino = 2, .st_mode = S_IFIFO };

	(void)state;
	assert_ptr_not_equal(look_up(&file, false), look_up(&fifo, false));
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

TESTS(T(test_a_file_is_one_inode_by_whatever_name), T(test_on_a_read_only_mount_it_is_another),
      T(test_a_number_that_is_used_again_is_another_file))
