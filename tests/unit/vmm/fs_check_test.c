/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/fs/check.h"

#include <linux/fuse.h>

#include "tests/unit/test.h"

static _Alignas(8) char request[8192];

/* A request of opcode with `fixed` zero bytes and then these bytes. */
static size_t make(uint32_t opcode, size_t fixed, const char *tail, size_t tail_len)
{
	struct fuse_in_header *header = (struct fuse_in_header *)request;
	size_t len = sizeof(*header) + fixed + tail_len;

	memset(request, 0, sizeof(request));
	header->len = (uint32_t)len;
	header->opcode = opcode;
	memcpy(request + sizeof(*header) + fixed, tail, tail_len);
	return len;
}

static void test_good_names_pass(void **state)
{
	static const char *const good[] = { "a", "...", "..a", ".a", "with space", "\xff\xfe" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(fs_check_request(request, make(FUSE_LOOKUP, 0, good[i], strlen(good[i]) + 1)), 0);
}

static void test_names_that_leave_the_directory_are_refused(void **state)
{
	static const char *const bad[] = { "", ".", "..", "/", "a/b", "../x", "a/", "/etc" };
	static const struct {
		uint32_t opcode;
		size_t fixed;
	} operations[] = {
		{ FUSE_LOOKUP, 0 },
		{ FUSE_UNLINK, 0 },
		{ FUSE_RMDIR, 0 },
		{ FUSE_MKDIR, sizeof(struct fuse_mkdir_in) },
		{ FUSE_MKNOD, sizeof(struct fuse_mknod_in) },
		{ FUSE_CREATE, sizeof(struct fuse_create_in) },
		{ FUSE_LINK, sizeof(struct fuse_link_in) },
	};

	(void)state;
	for (size_t o = 0; o < ARRAY_SIZE(operations); o++)
		for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
			assert_int_equal(fs_check_request(request, make(operations[o].opcode, operations[o].fixed, bad[i],
									strlen(bad[i]) + 1)),
					 -EINVAL);
}

static void test_strings_need_an_end_and_a_second_where_two_are_due(void **state)
{
	char name[300];

	(void)state;
	memset(name, 'n', sizeof(name));
	assert_int_equal(fs_check_request(request, make(FUSE_LOOKUP, 0, name, 10)), -EINVAL);
	assert_int_equal(fs_check_request(request, make(FUSE_LOOKUP, 0, name, 0)), -EINVAL);
	name[256] = '\0';
	assert_int_equal(fs_check_request(request, make(FUSE_LOOKUP, 0, name, 257)), -ENAMETOOLONG);
	assert_int_equal(fs_check_request(request, make(FUSE_RENAME, 8, "a\0b", 4)), 0);
	assert_int_equal(fs_check_request(request, make(FUSE_RENAME, 8, "a", 2)), -EINVAL);
	assert_int_equal(fs_check_request(request, make(FUSE_RENAME, 8, "a\0b", 3)), -EINVAL);
	assert_int_equal(fs_check_request(request, make(FUSE_RENAME2, 16, "a\0..", 5)), -EINVAL);
	assert_int_equal(fs_check_request(request, make(FUSE_SYMLINK, 0, "a\0../../etc", 12)), 0);
	assert_int_equal(fs_check_request(request, make(FUSE_SYMLINK, 0, "a/b\0x", 6)), -EINVAL);
}

static void test_sizes_must_fit(void **state)
{
	struct fuse_in_header *header = (struct fuse_in_header *)request;
	struct fuse_write_in *write_in = (struct fuse_write_in *)(request + sizeof(*header));
	struct fuse_batch_forget_in *forgets = (struct fuse_batch_forget_in *)(request + sizeof(*header));
	struct fuse_setxattr_in *setxattr_in = (struct fuse_setxattr_in *)(request + sizeof(*header));
	struct fuse_ioctl_in *ioctl_in = (struct fuse_ioctl_in *)(request + sizeof(*header));
	size_t len;

	(void)state;
	len = make(FUSE_WRITE, sizeof(*write_in), "data", 4);
	write_in->size = 4;
	assert_int_equal(fs_check_request(request, len), 0);
	write_in->size = 5;
	assert_int_equal(fs_check_request(request, len), -EINVAL);
	write_in->size = UINT32_MAX;
	assert_int_equal(fs_check_request(request, len), -EINVAL);
	len = make(FUSE_BATCH_FORGET, sizeof(*forgets), "0123456789abcdef", 16);
	forgets->count = 1;
	assert_int_equal(fs_check_request(request, len), 0);
	forgets->count = 2;
	assert_int_equal(fs_check_request(request, len), -EINVAL);
	forgets->count = UINT32_MAX;
	assert_int_equal(fs_check_request(request, len), -EINVAL);
	len = make(FUSE_SETXATTR, FUSE_COMPAT_SETXATTR_IN_SIZE, "user.a\0val", 10);
	setxattr_in->size = 3;
	assert_int_equal(fs_check_request(request, len), 0);
	setxattr_in->size = 4;
	assert_int_equal(fs_check_request(request, len), -EINVAL);
	len = make(FUSE_IOCTL, sizeof(*ioctl_in), "flag", 4);
	ioctl_in->in_size = 4;
	assert_int_equal(fs_check_request(request, len), 0);
	ioctl_in->in_size = 5;
	assert_int_equal(fs_check_request(request, len), -EINVAL);
	ioctl_in->in_size = UINT32_MAX;
	assert_int_equal(fs_check_request(request, len), -EINVAL);
	/* The header's own length, and what follows it. */
	len = make(FUSE_GETATTR, sizeof(struct fuse_getattr_in), "", 0);
	assert_int_equal(fs_check_request(request, len - 1), -EINVAL);
	header->len = (uint32_t)len - 1;
	assert_int_equal(fs_check_request(request, len - 1), -EINVAL);
	header->len = UINT32_MAX;
	assert_int_equal(fs_check_request(request, len), -EINVAL);
	assert_int_equal(fs_check_request(request, 39), -EINVAL);
}

static void test_operations_that_the_server_lacks_are_refused(void **state)
{
	static const uint32_t unknown[] = { 0, 7, FUSE_INTERRUPT, FUSE_POLL, FUSE_SETUPMAPPING, 4096, UINT32_MAX };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++)
		assert_int_equal(fs_check_request(request, make(unknown[i], 256, "", 0)), -ENOSYS);
}

TESTS(cmocka_unit_test(test_good_names_pass), cmocka_unit_test(test_names_that_leave_the_directory_are_refused),
      cmocka_unit_test(test_strings_need_an_end_and_a_second_where_two_are_due), cmocka_unit_test(test_sizes_must_fit),
      cmocka_unit_test(test_operations_that_the_server_lacks_are_refused))
