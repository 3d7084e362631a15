/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended attributes (xattr(7)). trusted.* attributes are the host's administrator's, and the guest's are not: on the host they
 * have names in user.*, which mean nothing there. So overlayfs in a guest can keep its upper directory in a volume. The guest's
 * kernel says who may set them; under their names on the host nobody in the guest may.
 */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "vmm/fs/operations.h"

#define TRUSTED "trusted."
#define TRUSTED_ON_HOST XATTRS_PREFIX_ON_HOST TRUSTED

static bool begins(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

/* The name that the guest's attribute has on the host, or NULL with errno: it has none. buffer may be what is returned. */
static const char *name_on_host(const char *name, char buffer[XATTR_NAME_MAX + 1])
{
	int n;

	if (begins(name, XATTRS_PREFIX_ON_HOST)) {
		errno = EPERM;
		return NULL;
	}
	if (!begins(name, TRUSTED))
		return name;
	n = snprintf(buffer, XATTR_NAME_MAX + 1, XATTRS_PREFIX_ON_HOST "%s", name);
	if (n <= XATTR_NAME_MAX)
		return buffer;
	errno = ERANGE; /* what Linux says of a name that is too long */
	return NULL;
}

/* The host's list of n bytes with the guest's names, in place; returns its length, which is n or less. */
static ssize_t list_for_guest(char *list, ssize_t n)
{
	ssize_t used = 0;

	for (ssize_t at = 0; at < n;) {
		const char *name = list + at;
		size_t len = strlen(name) + 1;

		at += (ssize_t)len;
		if (begins(name, TRUSTED_ON_HOST)) {
			name += strlen(XATTRS_PREFIX_ON_HOST);
			len -= strlen(XATTRS_PREFIX_ON_HOST);
		} else if (begins(name, XATTRS_PREFIX_ON_HOST)) {
			continue;
		}
		memmove(list + used, name, len);
		used += (ssize_t)len;
	}
	return used;
}

/* By path through the working directory, which is /proc/self/fd: O_PATH descriptors have none. */
static int set(fuse_req_t req, int fd, const char *name, const char *value, size_t size, int flags)
{
	char buffer[XATTR_NAME_MAX + 1];
	const char *on_host = name_on_host(name, buffer);

	if (!on_host)
		return -1;
	if (flags & ACL_TAKES_SET_GID)
		return acl_set_without_set_gid(passthrough_of(req), fd, on_host, value, size);
	return setxattr(magic_path(fd).name, on_host, value, size, flags);
}

/* Whether the file can have attributes changed; otherwise the guest has its answer. */
static bool may_change(fuse_req_t req, fuse_ino_t id, const struct inode *inode)
{
	if (inode && inode->type != S_IFLNK)
		return true;
	fuse_reply_err(req, inode ? EPERM : no_inode(id));
	return false;
}

void op_setxattr(fuse_req_t req, fuse_ino_t id, const char *name, const char *value, size_t size, int flags)
{
	auto_inode inode = inode_of(req, id);

	if (may_change(req, id, inode.inode))
		fuse_reply_err(req, set(req, inode.inode->fd, name, value, size, flags) < 0 ? errno : 0);
}

static void reply_bytes(fuse_req_t req, const char *bytes, ssize_t n, size_t size)
{
	if (n < 0)
		fuse_reply_err(req, errno);
	else if (size == 0)
		fuse_reply_xattr(req, (size_t)n);
	else if ((size_t)n > size)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, bytes, (size_t)n);
}

void op_getxattr(fuse_req_t req, fuse_ino_t id, const char *name, size_t size)
{
	auto_inode inode = inode_of(req, id);
	char buffer[XATTR_NAME_MAX + 1];
	const char *on_host = name_on_host(name, buffer);
	auto_free char *value = NULL;

	if (!inode.inode) {
		fuse_reply_err(req, inodes_is_virtual(id) ? ENODATA : ENOENT);
		return;
	}
	if (inode.inode->type == S_IFLNK || !on_host) {
		fuse_reply_err(req, ENODATA);
		return;
	}
	if (size > XATTR_SIZE_MAX)
		size = XATTR_SIZE_MAX;
	value = malloc(size ? size : 1);
	if (!value)
		fuse_reply_err(req, ENOMEM);
	else
		reply_bytes(req, value, getxattr(magic_path(inode.inode->fd).name, on_host, value, size), size);
}

void op_listxattr(fuse_req_t req, fuse_ino_t id, size_t size)
{
	auto_inode inode = inode_of(req, id);
	auto_free char *list = NULL;
	ssize_t n;

	if (!inode.inode || inode.inode->type == S_IFLNK) {
		reply_bytes(req, NULL, 0, size);
		return;
	}
	list = malloc(XATTR_LIST_MAX);
	if (!list) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	n = listxattr(magic_path(inode.inode->fd).name, list, XATTR_LIST_MAX);
	reply_bytes(req, list, n < 0 ? n : list_for_guest(list, n), size);
}

static int remove_one(int fd, const char *name)
{
	char buffer[XATTR_NAME_MAX + 1];
	const char *on_host = name_on_host(name, buffer);

	return on_host ? removexattr(magic_path(fd).name, on_host) : -1;
}

void op_removexattr(fuse_req_t req, fuse_ino_t id, const char *name)
{
	auto_inode inode = inode_of(req, id);

	if (may_change(req, id, inode.inode))
		fuse_reply_err(req, remove_one(inode.inode->fd, name) < 0 ? errno : 0);
}
