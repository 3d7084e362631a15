/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POSIX ACLs. The host's kernel keeps them, as extended attributes, and gives new files theirs; the guest's kernel checks them. It
 * is told with a file's attributes if there is none, so that it need not ask (guest-kernel/patches/virtiofs-acl.patch).
 */
#include <errno.h>
#include <linux/fuse.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "vmm/fs/operations.h"

#define ACCESS_ACL "system.posix_acl_access"
#define FUSE_ATTR_NO_ACL (1U << 31)

static bool has_acl(int fd, mode_t type)
{
	if (fd < 0 || S_ISLNK(type))
		return false;
	/* What cannot be said for sure the guest shall ask for. */
	return getxattr(magic_path(fd).name, ACCESS_ACL, NULL, 0) >= 0 || (errno != ENODATA && errno != EOPNOTSUPP);
}

uint32_t acl_flags(const struct passthrough *fs, int fd, mode_t type)
{
	return fs->own_kernel && !has_acl(fd, type) ? FUSE_ATTR_NO_ACL : 0;
}

static int take_set_gid(struct passthrough *fs, int fd)
{
	struct magic_path path = magic_path(fd);
	struct stat st;

	if (fstatat(fd, "", &st, AT_EMPTY_PATH) < 0)
		return -1;
	return st.st_mode & S_ISGID ? fchmodat(fs->proc_self_fd, path.name, st.st_mode & 07777 & ~S_ISGID, 0) : 0;
}

int acl_set_without_set_gid(struct passthrough *fs, int fd, const char *name, const char *value, size_t size)
{
	int ret;

	pthread_mutex_lock(&fs->modes);
	/* First the bit: with it the new mode must never be seen. */
	ret = take_set_gid(fs, fd);
	if (ret == 0)
		ret = setxattr(magic_path(fd).name, name, value, size, 0);
	pthread_mutex_unlock(&fs->modes);
	return ret;
}
