/* SPDX-License-Identifier: Apache-2.0 */
/* ACLs as a guest sees them that checks them itself, and as the host gives them to new files. */
#include <sys/xattr.h>

#include "tests/unit/vmm/fs_client.h"

#define ACCESS_ACL "system.posix_acl_access"
#define DEFAULT_ACL "system.posix_acl_default"
#define NO_ACL (1U << 31)
#define TAKES_SET_GID (1U << 30)

/* acl(5) as linux/posix_acl_xattr.h has it: rwx for the owner, rw for user 1000, r for the group, rw as the mask, none for others. */
static const uint8_t acl[] = {
	2, 0, 0, 0,
	1, 0, 7, 0, 255, 255, 255, 255,
	2, 0, 6, 0, 232, 3, 0, 0,
	4, 0, 4, 0, 255, 255, 255, 255,
	16, 0, 6, 0, 255, 255, 255, 255,
	32, 0, 0, 0, 255, 255, 255, 255,
};

static char directory[] = "/tmp/cella-acl-test.XXXXXX", path[64], other[80];
static uint64_t parent, node;

static int set_up(void **state)
{
	char name[SHARE_DIRECTORY_MAX];

	(void)state;
	assert_int_equal(chdir("/proc/self/fd"), 0); /* as the jail is in */
	init_flags2 = OWN_KERNEL;
	make_directory(directory, path);
	snprintf(other, sizeof(other), "%s/new", directory);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	node = share_file(directory);
	assert_int_equal(look_up(shares_beside(directory, name), "share"), 0);
	parent = reply.entry.nodeid;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fs_server_free(server);
	unlink(path);
	if (unlink(other) < 0)
		rmdir(other);
	rmdir(directory);
	return 0;
}

static mode_t mode_of(const char *file)
{
	struct stat st;

	assert_int_equal(stat(file, &st), 0);
	return st.st_mode & 07777;
}

static uint32_t attribute_flags(void)
{
	assert_int_equal(ask(FUSE_GETATTR, node, &(struct fuse_getattr_in){ 0 }, sizeof(struct fuse_getattr_in)), 0);
	return reply.attr.attr.flags;
}

static void test_the_guest_is_told_where_there_is_none(void **state)
{
	(void)state;
	assert_int_equal(init_answer.flags & (FUSE_POSIX_ACL | FUSE_DONT_MASK), FUSE_POSIX_ACL | FUSE_DONT_MASK);
	assert_int_equal(attribute_flags(), NO_ACL);
	assert_int_equal(look_up(parent, "file"), 0);
	assert_int_equal(reply.entry.attr.flags, NO_ACL);
	assert_int_equal(setxattr(path, ACCESS_ACL, acl, sizeof(acl), 0), 0);
	assert_int_equal(attribute_flags(), 0);
	assert_int_equal(look_up(parent, "file"), 0);
	assert_int_equal(reply.entry.attr.flags, 0);
	assert_int_equal(removexattr(path, ACCESS_ACL), 0);
	assert_int_equal(attribute_flags(), NO_ACL);
}

static void test_another_kernel_is_told_nothing(void **state)
{
	(void)state;
	fs_server_free(server);
	init_flags2 = 1; /* FUSE_SECURITY_CTX */
	node = share_file(directory);
	assert_int_equal(init_answer.flags & (FUSE_POSIX_ACL | FUSE_DONT_MASK), 0);
	assert_int_equal(attribute_flags(), 0);
}

static void make_new(uint32_t opcode, uint32_t umask)
{
	struct {
		union {
			struct fuse_mkdir_in mkdir;
			struct fuse_mknod_in mknod;
			struct fuse_create_in create;
		};
		char name[4];
	} body = { 0 };
	size_t fixed = opcode == FUSE_MKDIR ? sizeof(body.mkdir) : opcode == FUSE_MKNOD ? sizeof(body.mknod) : sizeof(body.create);

	if (opcode == FUSE_MKDIR)
		body.mkdir = (struct fuse_mkdir_in){ .mode = 0777, .umask = umask };
	else if (opcode == FUSE_MKNOD)
		body.mknod = (struct fuse_mknod_in){ .mode = S_IFREG | 0666, .umask = umask };
	else
		body.create = (struct fuse_create_in){ .flags = O_WRONLY | O_CREAT, .mode = 0666, .umask = umask };
	memcpy((char *)&body + fixed, "new", 4);
	assert_int_equal(ask(opcode, parent, &body, fixed + 4), 0);
}

static void test_the_callers_umask_is_used(void **state)
{
	static const struct {
		uint32_t opcode, umask;
		mode_t mode, below_default;
	} rows[] = {
		{ FUSE_CREATE, 022, 0644, 0660 }, { FUSE_CREATE, 077, 0600, 0660 }, { FUSE_CREATE, 0, 0666, 0660 },
		{ FUSE_MKNOD, 027, 0640, 0660 },  { FUSE_MKDIR, 022, 0755, 0760 },  { FUSE_MKDIR, 0, 0777, 0760 },
	};

	(void)state;
	for (int below_default = 0; below_default < 2; below_default++) {
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			make_new(rows[i].opcode, rows[i].umask);
			assert_int_equal(mode_of(other), below_default ? rows[i].below_default : rows[i].mode);
			if (unlink(other) < 0)
				assert_int_equal(rmdir(other), 0);
		}
		assert_int_equal(setxattr(directory, DEFAULT_ACL, acl, sizeof(acl), 0), 0);
	}
}

static void set_acl(uint32_t flags)
{
	struct {
		uint32_t size, flags;
		char name[sizeof(ACCESS_ACL)], value[sizeof(acl)];
	} body = { sizeof(acl), flags, ACCESS_ACL, "" };

	memcpy(body.value, acl, sizeof(acl));
	assert_int_equal(ask(FUSE_SETXATTR, node, &body, 8 + sizeof(ACCESS_ACL) + sizeof(acl)), 0);
}

static void test_set_gid_goes_if_the_guest_says_so(void **state)
{
	(void)state;
	assert_int_equal(chmod(path, 02755), 0);
	set_acl(0);
	assert_int_equal(mode_of(path), 02760);
	set_acl(TAKES_SET_GID);
	assert_int_equal(mode_of(path), 0760);
	assert_int_equal(getxattr(path, ACCESS_ACL, NULL, 0), sizeof(acl));
}

TESTS(cmocka_unit_test_setup_teardown(test_the_guest_is_told_where_there_is_none, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_another_kernel_is_told_nothing, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_the_callers_umask_is_used, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_set_gid_goes_if_the_guest_says_so, set_up, tear_down))
