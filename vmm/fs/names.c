/* SPDX-License-Identifier: Apache-2.0 */
/* Names in directories: looking up, making, linking, renaming, removing. */
#include "vmm/fs/operations.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Whether it is on a read-only mount, or a read-only file system. */
static bool is_read_only(int fd)
{
	struct statvfs st;

	return fstatvfs(fd, &st) == 0 && st.f_flag & ST_RDONLY;
}

int make_entry(struct passthrough *fs, int fd, struct fuse_entry_param *entry)
{
	struct inode *inode;
	int ret;

	memset(entry, 0, sizeof(*entry));
	if (devices_stat(fs, fd, &entry->attr) < 0) {
		ret = errno;
		close(fd);
		return ret;
	}
	fs_current_request()->attribute_flags = acl_flags(fs, fd, entry->attr.st_mode);
	ret = inodes_lookup(&fs->inodes, fd, &entry->attr, is_read_only(fd), &inode);
	if (ret < 0)
		return -ret;
	inode->told_size = entry->attr.st_size;
	entry->ino = inode->id;
	entry->attr_timeout = TIMEOUT_SECONDS;
	entry->entry_timeout = TIMEOUT_SECONDS;
	return 0;
}

/* One of the root's directories: it counts no lookups. */
static int make_virtual_entry(struct passthrough *fs, const char *name, struct fuse_entry_param *entry)
{
	fuse_ino_t id = virtual_find(fs, name);

	fs_current_request()->attribute_flags = acl_flags(fs, -1, S_IFDIR);
	*entry = (struct fuse_entry_param){
		.ino = id,
		.attr = virtual_stat(id),
		.attr_timeout = TIMEOUT_SECONDS,
		.entry_timeout = TIMEOUT_SECONDS,
	};
	return id ? 0 : ENOENT;
}

int lookup_child(fuse_req_t req, fuse_ino_t parent, const char *name, struct fuse_entry_param *entry)
{
	struct passthrough *fs = passthrough_of(req);
	auto_inode dir = inode_of(req, parent);
	int fd;

	if (parent == INODES_ROOT_ID)
		return make_virtual_entry(fs, name, entry);
	if (inodes_is_virtual(parent))
		fd = virtual_open_share(fs, parent, name);
	else if (dir.inode)
		fd = openat(dir.inode->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	else
		return no_inode(parent);
	return fd < 0 ? errno : make_entry(fs, fd, entry);
}

/* bound: a socket of the child's, taken in every case; -1: it has none. */
static void reply_child_bound(fuse_req_t req, fuse_ino_t parent, const char *name, int bound)
{
	struct fuse_entry_param entry;
	int error = lookup_child(req, parent, name, &entry);

	sockets_keep(passthrough_of(req), error ? 0 : entry.ino, bound);
	if (parent == INODES_ROOT_ID)
		fs_current_request()->attribute_flags |= FUSE_ATTR_SUBMOUNT;
	if (error)
		fuse_reply_err(req, error);
	else if (fuse_reply_entry(req, &entry) < 0)
		inodes_forget(&passthrough_of(req)->inodes, entry.ino, 1);
}

static void reply_child(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	reply_child_bound(req, parent, name, -1);
}

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	reply_child(req, parent, name);
}

void op_forget(fuse_req_t req, fuse_ino_t id, uint64_t n)
{
	inodes_forget(&passthrough_of(req)->inodes, id, n);
	fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		inodes_forget(&passthrough_of(req)->inodes, forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

void op_readlink(fuse_req_t req, fuse_ino_t id)
{
	auto_inode inode = inode_of(req, id);
	char target[PATH_MAX + 1];
	ssize_t n;

	if (!inode.inode) {
		fuse_reply_err(req, inodes_is_virtual(id) ? EINVAL : ENOENT);
		return;
	}
	n = readlinkat(inode.inode->fd, "", target, sizeof(target));
	if (n < 0 || n == (ssize_t)sizeof(target)) {
		fuse_reply_err(req, n < 0 ? errno : ENAMETOOLONG);
		return;
	}
	target[n] = '\0';
	fuse_reply_readlink(req, target);
}

/* Runs a call that creates name in the directory `parent` as the guest's caller, then answers with the new entry. */
#define CREATE_AND_REPLY(req, parent, name, call) CREATE_BOUND_AND_REPLY(req, parent, name, -1, call)

/* socket: a variable that the call may set to the new entry's. */
#define CREATE_BOUND_AND_REPLY(req, parent, name, socket, call)                    \
	do {                                                                       \
		auto_inode dir = inode_of(req, parent);                           \
		int result = -1;                                                   \
		if (!dir.inode) {                                                  \
			fuse_reply_err(req, no_inode(parent));                     \
			return;                                                    \
		}                                                                  \
		errno = EPERM;                                                     \
		if (caller_become(req) == 0)                                       \
			result = (call);                                           \
		caller_leave(req);                                                  \
		if (result < 0)                                                    \
			fuse_reply_err(req, errno);                                \
		else                                                               \
			reply_child_bound(req, parent, name, socket);              \
	} while (0)

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	struct passthrough *fs = passthrough_of(req);
	int bound = -1;

	if (S_ISSOCK(mode))
		CREATE_BOUND_AND_REPLY(req, parent, name, bound, sockets_make(fs, dir.inode->fd, name, mode, &bound));
	else
		CREATE_AND_REPLY(req, parent, name, devices_make(fs, dir.inode->fd, name, mode, rdev));
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	CREATE_AND_REPLY(req, parent, name, mkdirat(dir.inode->fd, name, mode));
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	CREATE_AND_REPLY(req, parent, name, symlinkat(target, dir.inode->fd, name));
}

void op_link(fuse_req_t req, fuse_ino_t id, fuse_ino_t parent, const char *name)
{
	auto_inode inode = inode_of(req, id);
	auto_inode dir = inode_of(req, parent);
	struct magic_path path;

	if (!inode.inode || !dir.inode) {
		fuse_reply_err(req, no_inode(inode.inode ? parent : id));
		return;
	}
	path = magic_path(inode.inode->fd);
	if (linkat(passthrough_of(req)->proc_self_fd, path.name, dir.inode->fd, name, AT_SYMLINK_FOLLOW) < 0)
		fuse_reply_err(req, errno);
	else
		reply_child(req, parent, name);
}

static void remove_child(fuse_req_t req, fuse_ino_t parent, const char *name, int flags)
{
	auto_inode dir = inode_of(req, parent);

	if (!dir.inode)
		fuse_reply_err(req, no_inode(parent));
	else
		fuse_reply_err(req, unlinkat(dir.inode->fd, name, flags) < 0 ? errno : 0);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_child(req, parent, name, 0);
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_child(req, parent, name, AT_REMOVEDIR);
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent, const char *new_name,
		      unsigned int flags)
{
	auto_inode from = inode_of(req, parent);
	auto_inode to = inode_of(req, new_parent);

	if (!from.inode || !to.inode)
		fuse_reply_err(req, no_inode(from.inode ? new_parent : parent));
	else
		fuse_reply_err(req, renameat2(from.inode->fd, name, to.inode->fd, new_name, flags) < 0 ? errno : 0);
}
