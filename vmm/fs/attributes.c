/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes: stat, times, owners, modes, and those of the file system. */
#include "vmm/fs/operations.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static void reply_stat(fuse_req_t req, fuse_ino_t id, struct inode *inode)
{
	struct stat st = virtual_stat(id);

	fs_current_request()->attribute_flags = acl_flags(passthrough_of(req), inode ? inode->fd : -1, inode ? inode->type : S_IFDIR);
	if (!inode && !inodes_is_virtual(id)) {
		fuse_reply_err(req, ENOENT);
	} else if (inode && devices_stat(passthrough_of(req), inode->fd, &st) < 0) {
		fuse_reply_err(req, errno);
	} else {
		if (inode)
			inode->told_size = st.st_size;
		fuse_reply_attr(req, &st, TIMEOUT_SECONDS);
	}
}

void op_getattr(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
	auto_inode inode = inode_of(req, id);

	(void)fi;
	reply_stat(req, id, inode.inode);
}

static int truncate_keeping_set_id(struct passthrough *fs, int fd, off_t size)
{
	mode_t set_id = set_id_keep(fs, fd);
	int ret = ftruncate(fd, size);

	set_id_restore(fs, fd, set_id);
	return ret;
}

static int set_size(fuse_req_t req, const struct inode *inode, off_t size, struct fuse_file_info *fi)
{
	struct passthrough *fs = passthrough_of(req);
	auto_handle handle = handle_of(req, fi);
	auto_fd fd = -1;

	if (handle.handle)
		return truncate_keeping_set_id(fs, handle.handle->fd, size);
	fd = inode_reopen(fs, inode, O_WRONLY);
	return fd < 0 ? -1 : truncate_keeping_set_id(fs, fd, size);
}

static int set_owner_and_mode(struct passthrough *fs, const struct inode *inode, const struct stat *attr, int which)
{
	uid_t uid = which & FUSE_SET_ATTR_UID ? attr->st_uid : (uid_t)-1;
	gid_t gid = which & FUSE_SET_ATTR_GID ? attr->st_gid : (gid_t)-1;
	int ret = 0;

	pthread_mutex_lock(&fs->modes);
	if (which & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID))
		ret = fchownat(inode->fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);
	/* After the owner: chown(2) may clear set-id bits that the caller wants to set. */
	if (ret == 0 && which & FUSE_SET_ATTR_MODE)
		ret = devices_change_mode(fs, inode->fd, attr->st_mode & 07777);
	pthread_mutex_unlock(&fs->modes);
	return ret;
}

static int set_times(const struct inode *inode, const struct stat *attr, int which)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_nsec = UTIME_OMIT } };

	if (which & FUSE_SET_ATTR_ATIME)
		times[0] = attr->st_atim;
	if (which & FUSE_SET_ATTR_ATIME_NOW)
		times[0].tv_nsec = UTIME_NOW;
	if (which & FUSE_SET_ATTR_MTIME)
		times[1] = attr->st_mtim;
	if (which & FUSE_SET_ATTR_MTIME_NOW)
		times[1].tv_nsec = UTIME_NOW;
	return utimensat(inode->fd, "", times, AT_EMPTY_PATH);
}

#define SET_ATTR_OWNER_AND_MODE (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID | FUSE_SET_ATTR_MODE)
#define SET_ATTR_TIMES \
	(FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW)

static int set_attributes(fuse_req_t req, const struct inode *inode, struct stat *attr, int which,
			  struct fuse_file_info *fi)
{
	if (which & SET_ATTR_OWNER_AND_MODE && set_owner_and_mode(passthrough_of(req), inode, attr, which) < 0)
		return -1;
	if (which & FUSE_SET_ATTR_SIZE && set_size(req, inode, attr->st_size, fi) < 0)
		return -1;
	if (which & SET_ATTR_TIMES && set_times(inode, attr, which) < 0)
		return -1;
	return 0;
}

void op_setattr(fuse_req_t req, fuse_ino_t id, struct stat *attr, int which, struct fuse_file_info *fi)
{
	auto_inode inode = inode_of(req, id);

	if (!inode.inode)
		fuse_reply_err(req, no_inode(id));
	else if (set_attributes(req, inode.inode, attr, which, fi) < 0)
		fuse_reply_err(req, errno);
	else
		reply_stat(req, id, inode.inode);
}

void op_statfs(fuse_req_t req, fuse_ino_t id)
{
	auto_inode inode = inode_of(req, id);
	struct statvfs st = { .f_bsize = 4096, .f_frsize = 4096, .f_namemax = NAME_MAX };

	if (!inode.inode) {
		if (inodes_is_virtual(id))
			fuse_reply_statfs(req, &st);
		else
			fuse_reply_err(req, ENOENT);
		return;
	}
	/* fstatfs(2) takes O_PATH descriptors. */
	if (fstatvfs(inode.inode->fd, &st) < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_statfs(req, &st);
}
