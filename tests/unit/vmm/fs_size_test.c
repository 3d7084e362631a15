/* SPDX-License-Identifier: Apache-2.0 */
/* Who opens a file that others have made longer or shorter is told that it has another size: page_cache.c. */
#include "tests/unit/vmm/fs_client.h"
#include "vmm/fs/operations.h"

static char directory[] = "/tmp/cella-size-test.XXXXXX", path[64];
static uint64_t node;

static int set_up(void **state)
{
	(void)state;
	init_flags2 = OWN_KERNEL;
	node = share_new_file(directory, path);
	return 0;
}

static int set_up_for_another_kernel(void **state)
{
	(void)state;
	init_flags2 = 0;
	node = share_new_file(directory, path);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return remove_shared_file(directory, path);
}

/* Whether the answer to OPEN says so. */
static bool size_is_new(uint32_t flags)
{
	const struct fuse_open_in in = { .flags = flags };

	assert_int_equal(ask(FUSE_OPEN, node, &in, sizeof(in)), 0);
	return reply.open.open_flags & OPEN_SIZE_IS_NEW;
}

static void guest_writes(uint64_t offset)
{
	struct {
		struct fuse_write_in in;
		char byte;
	} body = { { .offset = offset, .size = 1 }, 'g' };

	assert_false(size_is_new(O_WRONLY));
	body.in.fh = reply.open.fh;
	assert_int_equal(ask(FUSE_WRITE, node, &body, sizeof(body.in) + 1), 0);
}

static void test_a_size_that_the_host_has_changed_is_new_once(void **state)
{
	(void)state;
	assert_false(size_is_new(O_RDONLY));
	assert_int_equal(truncate(path, 7), 0);
	assert_true(size_is_new(O_RDONLY));
	assert_false(size_is_new(O_RDONLY));
	assert_int_equal(truncate(path, 2), 0);
	assert_true(size_is_new(O_RDWR));
}

static void test_attributes_tell_it_as_well(void **state)
{
	const struct fuse_getattr_in in = { 0 };

	(void)state;
	assert_int_equal(truncate(path, 7), 0);
	assert_int_equal(ask(FUSE_GETATTR, node, &in, sizeof(in)), 0);
	assert_false(size_is_new(O_RDONLY));
}

static void test_what_the_guest_does_itself_is_not_new(void **state)
{
	(void)state;
	guest_writes(0);
	guest_writes(100);
	guest_writes(50);
	assert_false(size_is_new(O_RDONLY));
	assert_false(size_is_new(O_WRONLY | O_TRUNC));
	assert_false(size_is_new(O_RDONLY));
}

static void test_another_kernel_is_not_told(void **state)
{
	(void)state;
	assert_int_equal(truncate(path, 7), 0);
	assert_false(size_is_new(O_RDONLY));
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

TESTS(T(test_a_size_that_the_host_has_changed_is_new_once), T(test_attributes_tell_it_as_well),
      T(test_what_the_guest_does_itself_is_not_new),
      cmocka_unit_test_setup_teardown(test_another_kernel_is_not_told, set_up_for_another_kernel, tear_down))
