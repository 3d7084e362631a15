/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flags of a file that chattr(1) changes (ioctl_iflags(2)), by the only ioctls that reach the host. The guest's
 * kernel sends them after it has checked who asks; before it sets flags it wants to know all of FS_IOC_FSGETXATTR
 * (vfs_fileattr_set). FS_IOC_FSSETXATTR is refused: it would let the guest choose which quota a file counts for.
 */
#include "vmm/fs/operations.h"

#include <errno.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>

/*
 * What an owner may change. Immutable and append-only files need a capability that the VMM does not have: the host
 * refuses. How the file system stores the file (FS_EXTENT_FL and more) stays as it is when a program writes all flags
 * anew; to ask for more than that, or for another quota (FS_PROJINHERIT_FL), is refused.
 */
#define CHANGEABLE                                                                                                      \
	(FS_SECRM_FL | FS_UNRM_FL | FS_COMPR_FL | FS_NOCOMP_FL | FS_SYNC_FL | FS_DIRSYNC_FL | FS_IMMUTABLE_FL |          \
	 FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL | FS_NOTAIL_FL | FS_TOPDIR_FL | FS_NOCOW_FL)

/* Its argument is an int, although the request's number says long. */
static void get_flags(fuse_req_t req, int fd)
{
	unsigned int flags = 0;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_ioctl(req, 0, &flags, sizeof(flags));
}

static void get_fsxattr(fuse_req_t req, int fd)
{
	struct fsxattr attributes = { 0 };

	if (ioctl(fd, FS_IOC_FSGETXATTR, &attributes) < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_ioctl(req, 0, &attributes, sizeof(attributes));
}

static void set_flags(fuse_req_t req, int fd, unsigned int wanted)
{
	unsigned int flags = 0, kept;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0) {
		fuse_reply_err(req, errno);
		return;
	}
	kept = flags & ~(unsigned int)CHANGEABLE;
	if (wanted & ~(CHANGEABLE | kept) || (kept & ~wanted & FS_PROJINHERIT_FL)) {
		fuse_reply_err(req, EPERM);
		return;
	}
	wanted |= kept;
	if (ioctl(fd, FS_IOC_SETFLAGS, &wanted) < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_ioctl(req, 0, NULL, 0);
}

void op_ioctl(fuse_req_t req, fuse_ino_t id, unsigned int command, void *argument, struct fuse_file_info *fi,
	      unsigned int flags, const void *in, size_t in_size, size_t out_size)
{
	auto_handle handle = handle_of(req, fi);
	unsigned int wanted;

	(void)id;
	(void)argument;
	(void)flags;
	if (!handle.handle)
		fuse_reply_err(req, EBADF);
	else if (command == FS_IOC_GETFLAGS && out_size >= sizeof(wanted))
		get_flags(req, handle.handle->fd);
	else if (command == FS_IOC_FSGETXATTR && out_size >= sizeof(struct fsxattr))
		get_fsxattr(req, handle.handle->fd);
	else if (command == FS_IOC_SETFLAGS && in_size >= sizeof(wanted))
		set_flags(req, handle.handle->fd, *(unsigned int *)memcpy(&wanted, in, sizeof(wanted)));
	else
		fuse_reply_err(req, ENOTTY);
}
