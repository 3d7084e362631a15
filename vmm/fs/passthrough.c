/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The FUSE operations over host directories: the table of them, and what all of them use.
 *
 * Each operation: find the inode, make the system call, answer exactly once. New files are created with the guest
 * caller's ids through the thread's file-system ids (setfsuid(2)); everything else runs with the capabilities that the
 * jail left, because the guest kernel has checked permissions (virtio-fs mounts with default_permissions).
 */
#include "vmm/fs/passthrough.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/fsuid.h>
#include <sys/stat.h>

#include "vmm/fs/operations.h"

struct passthrough *passthrough_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

void inode_reference_release(struct inode_reference *reference)
{
	int saved = errno;

	inodes_put(&reference->fs->inodes, reference->inode);
	errno = saved;
}

struct inode_reference inode_of(fuse_req_t req, fuse_ino_t id)
{
	struct passthrough *fs = passthrough_of(req);

	return (struct inode_reference){ .fs = fs, .inode = inodes_get(&fs->inodes, id) };
}

int no_inode(fuse_ino_t id)
{
	return inodes_is_virtual(id) ? EROFS : ENOENT;
}

struct magic_path magic_path(int fd)
{
	struct magic_path path;

	snprintf(path.name, sizeof(path.name), "%d", fd);
	return path;
}

int inode_reopen(struct passthrough *fs, const struct inode *inode, int flags)
{
	struct magic_path path = magic_path(inode->fd);
	int fd;

	if (inode->type != S_IFREG && inode->type != S_IFDIR) {
		errno = inode->type == S_IFLNK ? ELOOP : ENXIO;
		return -1;
	}
	fd = openat(fs->proc_self_fd, path.name, (flags & ~(O_NOFOLLOW | O_CREAT | O_EXCL)) | O_CLOEXEC | O_NOCTTY);
	return fd;
}

/*
 * The guest's caller says which umask it has, and the host uses it unless the directory has a default ACL (acl(5), "Object
 * creation and default ACLs"). A umask belongs to a process, but a thread may have one of its own (unshare(2), CLONE_FS).
 */
static int take_umask(mode_t umask_of_caller)
{
	static __thread bool own;
	static __thread mode_t now;

	if (!own && unshare(CLONE_FS) < 0)
		return -1;
	if (!own || now != umask_of_caller)
		umask(umask_of_caller);
	own = true;
	now = umask_of_caller;
	return 0;
}

/*
 * The thread's umask and file-system ids become the guest caller's. The securebits that the jail sets keep the capabilities
 * through it. setfsuid(2) does not say whether it worked: asked again with an invalid id it tells what is in force.
 */
int caller_become(fuse_req_t req)
{
	const struct fuse_ctx *caller = fuse_req_ctx(req);

	if (take_umask(caller->umask & 0777) < 0)
		return -1;
	if (caller->gid != 0) {
		setfsgid(caller->gid);
		if ((gid_t)setfsgid((gid_t)-1) != caller->gid)
			return -1;
	}
	if (caller->uid != 0) {
		setfsuid(caller->uid);
		if ((uid_t)setfsuid((uid_t)-1) != caller->uid)
			return -1;
	}
	return 0;
}

void caller_leave(fuse_req_t req)
{
	const struct fuse_ctx *caller = fuse_req_ctx(req);
	int saved = errno;

	if (caller->uid != 0)
		setfsuid(0);
	if (caller->gid != 0)
		setfsgid(0);
	errno = saved;
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	static const unsigned int wanted = FUSE_CAP_ASYNC_READ | FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_PARALLEL_DIROPS |
					   FUSE_CAP_ASYNC_DIO | FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO |
					   FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_IOCTL_DIR;

	(void)userdata;
	conn->want = conn->capable & wanted;
	conn->max_write = FS_WRITE_MAX;
	conn->max_readahead = FS_WRITE_MAX;
	conn->time_gran = 1;
}

const struct fuse_lowlevel_ops passthrough_ops = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.access = op_access,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
	.open = op_open,
	.create = op_create,
	.read = op_read,
	.write = op_write,
	.flush = op_flush,
	.release = op_release,
	.fsync = op_fsync,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.releasedir = op_release,
	.fsyncdir = op_fsync,
	.statfs = op_statfs,
	.setxattr = op_setxattr,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.removexattr = op_removexattr,
	.ioctl = op_ioctl,
	.fallocate = op_fallocate,
	.lseek = op_lseek,
	.copy_file_range = op_copy_file_range,
	.getlk = op_getlk,
	.setlk = op_setlk,
	.flock = op_flock,
};
