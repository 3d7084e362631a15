/* SPDX-License-Identifier: Apache-2.0 */
/* Open files: creating, opening, reading, writing. */
#include "vmm/fs/operations.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "vmm/fs/locks.h"
#include "vmm/virtio/virtqueue.h"

#define FUSE_OUT_HEADER_SIZE 16

/* Flags that a guest may hand through to open(2). O_DIRECT is left out: its buffers need alignments that FUSE's lack. */
#define OPEN_FLAGS (O_ACCMODE | O_APPEND | O_TRUNC | O_NOATIME | O_SYNC | O_DSYNC)

/* Each of the guest's writes says whether it appends: op_write. With O_APPEND pwrite(2) ignores the offset. */
static int host_flags(int flags)
{
	return flags & OPEN_FLAGS & ~O_APPEND;
}

/* The file behind an inode, for op_open. */
static int open_inode(struct passthrough *fs, const struct inode *inode, int flags)
{
	mode_t set_id = flags & O_TRUNC ? set_id_keep(fs, inode->fd) : 0;
	int fd = inode_reopen(fs, inode, host_flags(flags));

	set_id_restore(fs, inode->fd, set_id);
	return fd;
}

void op_open(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
	auto_inode inode = inode_of(req, id);
	int64_t number;
	int fd;

	if (!inode.inode) {
		fuse_reply_err(req, no_inode(id));
		return;
	}
	fd = open_inode(passthrough_of(req), inode.inode, fi->flags);
	if (fd < 0) {
		fuse_reply_err(req, errno);
		return;
	}
	fi->keep_cache = page_cache_may_stay(passthrough_of(req), inode.inode, fd);
	if (page_cache_size_is_new(passthrough_of(req), inode.inode, fd, fi->flags & O_TRUNC))
		fs_current_request()->open_flags = OPEN_SIZE_IS_NEW;
	number = handle_new(passthrough_of(req), fd);
	if (number < 0) {
		fuse_reply_err(req, (int)-number);
		return;
	}
	fi->fh = (uint64_t)number;
	if (fuse_reply_open(req, fi) < 0)
		handle_release(passthrough_of(req), fi->fh);
}

static bool is_unnamed(int flags)
{
	return (flags & O_TMPFILE) == O_TMPFILE;
}

/* O_EXCL as the guest asked: without it an existing file is opened, but never through a symbolic link. -1 with errno. */
static int create_file(fuse_req_t req, int directory, const char *name, mode_t mode, int flags)
{
	int how = host_flags(flags) | (flags & O_EXCL) | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, fd = -1;

	errno = EPERM;
	if (caller_become(req) == 0)
		fd = is_unnamed(flags) ? openat(directory, ".", how | O_TMPFILE, mode) : openat(directory, name, how | O_CREAT, mode);
	caller_leave(req);
	return fd;
}

/* The new file's entry; one without a name has none in the directory. 0 or errno. */
static int find_created(fuse_req_t req, fuse_ino_t parent, const char *name, int fd, int flags, struct fuse_entry_param *entry)
{
	struct passthrough *fs = passthrough_of(req);
	struct magic_path path = magic_path(fd);
	int path_fd;

	if (!is_unnamed(flags))
		return lookup_child(req, parent, name, entry);
	path_fd = openat(fs->proc_self_fd, path.name, O_PATH | O_CLOEXEC);
	return path_fd < 0 ? errno : make_entry(fs, path_fd, entry);
}

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
	struct passthrough *fs = passthrough_of(req);
	auto_inode dir = inode_of(req, parent);
	struct fuse_entry_param entry;
	int64_t number;
	int fd, error;

	if (!dir.inode) {
		fuse_reply_err(req, no_inode(parent));
		return;
	}
	fd = create_file(req, dir.inode->fd, name, mode, fi->flags);
	if (fd < 0) {
		fuse_reply_err(req, errno);
		return;
	}
	error = find_created(req, parent, name, fd, fi->flags, &entry);
	if (error) {
		close(fd);
		fuse_reply_err(req, error);
		return;
	}
	number = handle_new(fs, fd);
	if (number < 0) {
		inodes_forget(&fs->inodes, entry.ino, 1);
		fuse_reply_err(req, (int)-number);
		return;
	}
	fi->fh = (uint64_t)number;
	if (fuse_reply_create(req, &entry, fi) < 0) {
		handle_release(fs, fi->fh);
		inodes_forget(&fs->inodes, entry.ino, 1);
	}
}

/* Straight into guest memory: the reply's writev finds the data in place. */
void op_read(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset, struct fuse_file_info *fi)
{
	auto_handle handle = handle_of(req, fi);
	struct fs_request *request = fs_current_request();
	struct iovec iov[VIRTQUEUE_SIZE_MAX];
	size_t n, left;
	ssize_t got;
	int used = 0;

	(void)id;
	if (!handle.handle) {
		fuse_reply_err(req, EBADF);
		return;
	}
	n = iov_slice(request->reply, request->nreply, FUSE_OUT_HEADER_SIZE, size, iov);
	got = preadv(handle.handle->fd, iov, (int)n, offset);
	if (got < 0) {
		fuse_reply_err(req, errno);
		return;
	}
	for (left = (size_t)got; left > 0; used++) {
		if (iov[used].iov_len > left)
			iov[used].iov_len = left;
		left -= iov[used].iov_len;
	}
	fuse_reply_iov(req, iov, used);
}

/*
 * What is to be appended goes to where the file ends here: it may be longer, or shorter, than this guest knows. Another kernel
 * than ours may send the parts of a long write in any order (guest-kernel/patches/virtiofs-append.patch).
 */
static bool appends(const struct passthrough *fs, const struct fuse_file_info *fi)
{
	return fs->own_kernel && fi->flags & O_APPEND && !fi->writepage;
}

/* An open file of its own: overlayfs forgets pwritev2(2)'s RWF_APPEND. */
static int open_to_append(struct passthrough *fs, const struct inode *inode, const struct handle *handle)
{
	int flags = fcntl(handle->fd, F_GETFL);

	if (flags < 0)
		return -1;
	/* What the guest may not write to it may not append to. */
	if ((flags & O_ACCMODE) == O_RDONLY) {
		errno = EBADF;
		return -1;
	}
	return inode_reopen(fs, inode, O_WRONLY | O_APPEND | (flags & OPEN_FLAGS & ~(O_ACCMODE | O_TRUNC)));
}

/* Stays the handle's. -1 with errno. */
static int append_fd(struct passthrough *fs, const struct inode *inode, struct handle *handle)
{
	int fd;

	pthread_mutex_lock(&handle->lock);
	if (handle->append_fd < 0)
		handle->append_fd = open_to_append(fs, inode, handle);
	fd = handle->append_fd;
	pthread_mutex_unlock(&handle->lock);
	return fd;
}

void op_write(fuse_req_t req, fuse_ino_t id, const char *data, size_t size, off_t offset,
		     struct fuse_file_info *fi)
{
	struct passthrough *fs = passthrough_of(req);
	auto_handle handle = handle_of(req, fi);
	auto_inode inode = inode_of(req, id);
	mode_t set_id;
	ssize_t n;
	int fd;

	if (!handle.handle || !inode.inode) {
		fuse_reply_err(req, EBADF);
		return;
	}
	fd = appends(fs, fi) ? append_fd(fs, inode.inode, handle.handle) : handle.handle->fd;
	if (fd < 0) {
		fuse_reply_err(req, errno);
		return;
	}
	set_id = set_id_keep(fs, handle.handle->fd);
	n = pwrite(fd, data, size, offset);
	set_id_restore(fs, handle.handle->fd, set_id);
	if (n < 0) {
		fuse_reply_err(req, errno);
		return;
	}
	page_cache_grows(inode.inode, offset + n);
	fuse_reply_write(req, (size_t)n);
}

void op_flush(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
	struct passthrough *fs = passthrough_of(req);
	auto_inode inode = inode_of(req, id);

	if (fs->own_kernel && inode.inode)
		locks_drop_owner(fs, inode.inode, fi->lock_owner);
	/* Nothing is buffered here, and locks that are the guest kernel's own are not ours to drop: it need not ask again. */
	fuse_reply_err(req, fs->own_kernel ? 0 : ENOSYS);
}

void op_release(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
	struct passthrough *fs = passthrough_of(req);
	auto_inode inode = inode_of(req, id);

	if (inode.inode)
		locks_drop_handle(fs, inode.inode, fi->fh);
	handle_release(fs, fi->fh);
	fuse_reply_err(req, 0);
}

void op_fsync(fuse_req_t req, fuse_ino_t id, int datasync, struct fuse_file_info *fi)
{
	auto_handle handle = handle_of(req, fi);
	int ret;

	(void)id;
	if (!handle.handle) {
		fuse_reply_err(req, EBADF);
		return;
	}
	ret = datasync ? fdatasync(handle.handle->fd) : fsync(handle.handle->fd);
	fuse_reply_err(req, ret < 0 ? errno : 0);
}

void op_fallocate(fuse_req_t req, fuse_ino_t id, int mode, off_t offset, off_t length, struct fuse_file_info *fi)
{
	struct passthrough *fs = passthrough_of(req);
	auto_handle handle = handle_of(req, fi);
	mode_t set_id;
	int ret;

	(void)id;
	if (!handle.handle) {
		fuse_reply_err(req, EBADF);
		return;
	}
	set_id = set_id_keep(fs, handle.handle->fd);
	ret = fallocate(handle.handle->fd, mode, offset, length);
	set_id_restore(fs, handle.handle->fd, set_id);
	fuse_reply_err(req, ret < 0 ? errno : 0);
}

void op_lseek(fuse_req_t req, fuse_ino_t id, off_t offset, int whence, struct fuse_file_info *fi)
{
	auto_handle handle = handle_of(req, fi);
	off_t at;

	(void)id;
	if (!handle.handle || (whence != SEEK_DATA && whence != SEEK_HOLE)) {
		fuse_reply_err(req, handle.handle ? EINVAL : EBADF);
		return;
	}
	at = lseek(handle.handle->fd, offset, whence);
	if (at < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_lseek(req, at);
}

void op_copy_file_range(fuse_req_t req, fuse_ino_t in, off_t in_offset, struct fuse_file_info *in_fi,
			       fuse_ino_t out, off_t out_offset, struct fuse_file_info *out_fi, size_t len, int flags)
{
	auto_handle from = handle_of(req, in_fi);
	auto_handle to = handle_of(req, out_fi);
	struct passthrough *fs = passthrough_of(req);
	mode_t set_id;
	ssize_t n;

	(void)in;
	(void)out;
	if (!from.handle || !to.handle) {
		fuse_reply_err(req, EBADF);
		return;
	}
	/* Bounded, so that one request cannot keep a worker for minutes; the guest asks again for the rest. */
	if (len > 64 << 20)
		len = 64 << 20;
	set_id = set_id_keep(fs, to.handle->fd);
	n = copy_file_range(from.handle->fd, &in_offset, to.handle->fd, &out_offset, len, (unsigned int)flags);
	set_id_restore(fs, to.handle->fd, set_id);
	if (n < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_write(req, (size_t)n);
}
