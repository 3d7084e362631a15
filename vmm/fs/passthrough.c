/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The FUSE operations over host directories.
 *
 * Each operation: find the inode, make the system call, answer exactly once. New files are created with the guest
 * caller's ids through the thread's file-system ids (setfsuid(2)); everything else runs with the capabilities that the
 * jail left, because the guest kernel has checked permissions (virtio-fs mounts with default_permissions).
 */
#include "vmm/fs/passthrough.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "vmm/virtio/virtqueue.h"

#define TIMEOUT_SECONDS 1.0	/* how long the guest may believe names and attributes: the host may change files */
#define DIRECTORY_BUFFER (32 << 10)
#define FUSE_OUT_HEADER_SIZE 16

static struct passthrough *self(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* An inode reference that its scope gives back. */
struct inode_reference {
	struct passthrough *fs;
	struct inode *inode;
};

static void release_reference(struct inode_reference *reference)
{
	int saved = errno;

	inodes_put(&reference->fs->inodes, reference->inode);
	errno = saved;
}

#define auto_inode __attribute__((cleanup(release_reference))) struct inode_reference

static struct inode_reference reference(fuse_req_t req, fuse_ino_t id)
{
	struct passthrough *fs = self(req);

	return (struct inode_reference){ .fs = fs, .inode = inodes_get(&fs->inodes, id) };
}

/* What operations on an id that has no inode get: the root is virtual and read only, other numbers are made up. */
static int no_inode(fuse_ino_t id)
{
	return id == INODES_ROOT_ID ? EROFS : ENOENT;
}

/* "N": with the working directory set to /proc/self/fd this is a path that leads to the inode behind an O_PATH fd. */
struct magic_path {
	char name[16];
};

static struct magic_path magic(int fd)
{
	struct magic_path path;

	snprintf(path.name, sizeof(path.name), "%d", fd);
	return path;
}

/* Opens the file behind an O_PATH descriptor. Device nodes and FIFOs are the guest kernel's business, never ours. */
static int reopen(struct passthrough *fs, const struct inode *inode, int flags)
{
	struct magic_path path = magic(inode->fd);
	int fd;

	if (inode->type != S_IFREG && inode->type != S_IFDIR) {
		errno = inode->type == S_IFLNK ? ELOOP : ENXIO;
		return -1;
	}
	fd = openat(fs->proc_self_fd, path.name, (flags & ~(O_NOFOLLOW | O_CREAT | O_EXCL)) | O_CLOEXEC | O_NOCTTY);
	return fd;
}

static struct handle *handle_get(struct passthrough *fs, uint64_t number)
{
	struct handle *handle;

	pthread_mutex_lock(&fs->lock);
	handle = table_get(&fs->handles, number);
	if (handle)
		handle->references++;
	pthread_mutex_unlock(&fs->lock);
	return handle;
}

/* Under the lock. */
static void handle_unreference(struct handle *handle)
{
	if (--handle->references > 0)
		return;
	close(handle->fd);
	free(handle);
}

struct handle_reference {
	struct passthrough *fs;
	struct handle *handle;
};

static void release_handle(struct handle_reference *reference)
{
	int saved = errno;

	if (reference->handle) {
		pthread_mutex_lock(&reference->fs->lock);
		handle_unreference(reference->handle);
		pthread_mutex_unlock(&reference->fs->lock);
	}
	errno = saved;
}

#define auto_handle __attribute__((cleanup(release_handle))) struct handle_reference

static struct handle_reference handle_reference(fuse_req_t req, const struct fuse_file_info *fi)
{
	struct passthrough *fs = self(req);

	return (struct handle_reference){ .fs = fs, .handle = fi ? handle_get(fs, fi->fh) : NULL };
}

/* Takes fd in every case. The handle's number or -errno. */
static int64_t handle_new(struct passthrough *fs, int fd)
{
	struct handle *handle = calloc(1, sizeof(*handle));
	int64_t number;

	if (!handle) {
		close(fd);
		return -ENOMEM;
	}
	handle->fd = fd;
	handle->references = 1;
	pthread_mutex_init(&handle->lock, NULL);
	pthread_mutex_lock(&fs->lock);
	number = table_add(&fs->handles, handle);
	pthread_mutex_unlock(&fs->lock);
	if (number < 0) {
		close(fd);
		free(handle);
	}
	return number;
}

static void handle_release(struct passthrough *fs, uint64_t number)
{
	struct handle *handle;

	pthread_mutex_lock(&fs->lock);
	handle = table_get(&fs->handles, number);
	if (handle) {
		table_remove(&fs->handles, number);
		handle_unreference(handle);
	}
	pthread_mutex_unlock(&fs->lock);
}

void passthrough_drop_handles(struct passthrough *fs)
{
	pthread_mutex_lock(&fs->lock);
	for (size_t i = 0; i < fs->handles.size; i++) {
		struct handle *handle = table_get(&fs->handles, i);

		if (handle)
			handle_unreference(handle);
	}
	table_done(&fs->handles);
	pthread_mutex_unlock(&fs->lock);
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	static const unsigned int wanted = FUSE_CAP_ASYNC_READ | FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_PARALLEL_DIROPS |
					   FUSE_CAP_ASYNC_DIO | FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO |
					   FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_CACHE_SYMLINKS;

	(void)userdata;
	conn->want = conn->capable & wanted;
	conn->max_write = FS_WRITE_MAX;
	conn->max_readahead = FS_WRITE_MAX;
	conn->time_gran = 1;
}

/* Fills entry for the file behind fd (taken); its lookup count grows. 0 or errno. */
static int make_entry(struct passthrough *fs, int fd, struct fuse_entry_param *entry)
{
	struct inode *inode;
	int ret;

	memset(entry, 0, sizeof(*entry));
	if (fstatat(fd, "", &entry->attr, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0) {
		ret = errno;
		close(fd);
		return ret;
	}
	ret = inodes_lookup(&fs->inodes, fd, &entry->attr, &inode);
	if (ret < 0)
		return -ret;
	entry->ino = inode->id;
	entry->attr_timeout = TIMEOUT_SECONDS;
	entry->entry_timeout = TIMEOUT_SECONDS;
	return 0;
}

/* A descriptor for a share by name, or -1 with errno. */
static int open_share(struct passthrough *fs, const char *name)
{
	struct share *share;
	int fd = -1;

	errno = ENOENT;
	pthread_mutex_lock(&fs->lock);
	for (share = fs->shares; share; share = share->next)
		if (!strcmp(share->name, name)) {
			fd = fcntl(share->fd, F_DUPFD_CLOEXEC, 0);
			break;
		}
	pthread_mutex_unlock(&fs->lock);
	return fd;
}

static int lookup_child(fuse_req_t req, fuse_ino_t parent, const char *name, struct fuse_entry_param *entry)
{
	struct passthrough *fs = self(req);
	auto_inode dir = reference(req, parent);
	int fd;

	if (parent == INODES_ROOT_ID)
		fd = open_share(fs, name);
	else if (dir.inode)
		fd = openat(dir.inode->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	else
		return no_inode(parent);
	return fd < 0 ? errno : make_entry(fs, fd, entry);
}

static void reply_child(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry;
	int error = lookup_child(req, parent, name, &entry);

	if (error)
		fuse_reply_err(req, error);
	else if (fuse_reply_entry(req, &entry) < 0)
		inodes_forget(&self(req)->inodes, entry.ino, 1);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	reply_child(req, parent, name);
}

static void op_forget(fuse_req_t req, fuse_ino_t id, uint64_t n)
{
	inodes_forget(&self(req)->inodes, id, n);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		inodes_forget(&self(req)->inodes, forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

static void reply_stat(fuse_req_t req, fuse_ino_t id, const struct inode *inode)
{
	struct stat st = { .st_ino = INODES_ROOT_ID, .st_mode = S_IFDIR | 0555, .st_nlink = 2, .st_blksize = 4096 };

	if (!inode && id != INODES_ROOT_ID)
		fuse_reply_err(req, ENOENT);
	else if (inode && fstatat(inode->fd, "", &st, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_attr(req, &st, TIMEOUT_SECONDS);
}

static void op_getattr(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
	auto_inode inode = reference(req, id);

	(void)fi;
	reply_stat(req, id, inode.inode);
}

static int set_size(fuse_req_t req, const struct inode *inode, off_t size, struct fuse_file_info *fi)
{
	auto_handle handle = handle_reference(req, fi);
	auto_fd fd = -1;

	if (handle.handle)
		return ftruncate(handle.handle->fd, size);
	fd = reopen(self(req), inode, O_WRONLY);
	return fd < 0 ? -1 : ftruncate(fd, size);
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

#define SET_ATTR_TIMES \
	(FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW)

static int set_attributes(fuse_req_t req, const struct inode *inode, struct stat *attr, int which,
			  struct fuse_file_info *fi)
{
	struct magic_path path = magic(inode->fd);

	if (which & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)) {
		uid_t uid = which & FUSE_SET_ATTR_UID ? attr->st_uid : (uid_t)-1;
		gid_t gid = which & FUSE_SET_ATTR_GID ? attr->st_gid : (gid_t)-1;

		if (fchownat(inode->fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
			return -1;
	}
	/* After the owner: chown(2) may clear set-id bits that the caller wants to set. */
	if (which & FUSE_SET_ATTR_MODE && fchmodat(self(req)->proc_self_fd, path.name, attr->st_mode & 07777, 0) < 0)
		return -1;
	if (which & FUSE_SET_ATTR_SIZE && set_size(req, inode, attr->st_size, fi) < 0)
		return -1;
	if (which & SET_ATTR_TIMES && set_times(inode, attr, which) < 0)
		return -1;
	return 0;
}

static void op_setattr(fuse_req_t req, fuse_ino_t id, struct stat *attr, int which, struct fuse_file_info *fi)
{
	auto_inode inode = reference(req, id);

	if (!inode.inode)
		fuse_reply_err(req, no_inode(id));
	else if (set_attributes(req, inode.inode, attr, which, fi) < 0)
		fuse_reply_err(req, errno);
	else
		reply_stat(req, id, inode.inode);
}

static void op_readlink(fuse_req_t req, fuse_ino_t id)
{
	auto_inode inode = reference(req, id);
	char target[PATH_MAX + 1];
	ssize_t n;

	if (!inode.inode) {
		fuse_reply_err(req, id == INODES_ROOT_ID ? EINVAL : ENOENT);
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

/*
 * The thread's file-system ids become the guest caller's. The securebits that the jail sets keep the capabilities
 * through it. setfsuid(2) does not say whether it worked: asked again with an invalid id it tells what is in force.
 */
static int become_caller(fuse_req_t req)
{
	const struct fuse_ctx *caller = fuse_req_ctx(req);

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

static void become_self(fuse_req_t req)
{
	const struct fuse_ctx *caller = fuse_req_ctx(req);
	int saved = errno;

	if (caller->uid != 0)
		setfsuid(0);
	if (caller->gid != 0)
		setfsgid(0);
	errno = saved;
}

/* Runs a call that creates name in the directory `parent` as the guest's caller, then answers with the new entry. */
#define CREATE_AND_REPLY(req, parent, name, call)                                  \
	do {                                                                       \
		auto_inode dir = reference(req, parent);                           \
		int result = -1;                                                   \
		if (!dir.inode) {                                                  \
			fuse_reply_err(req, no_inode(parent));                     \
			return;                                                    \
		}                                                                  \
		errno = EPERM;                                                     \
		if (become_caller(req) == 0)                                       \
			result = (call);                                           \
		become_self(req);                                                  \
		if (result < 0)                                                    \
			fuse_reply_err(req, errno);                                \
		else                                                               \
			reply_child(req, parent, name);                            \
	} while (0)

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	CREATE_AND_REPLY(req, parent, name, mknodat(dir.inode->fd, name, mode, rdev));
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	CREATE_AND_REPLY(req, parent, name, mkdirat(dir.inode->fd, name, mode));
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	CREATE_AND_REPLY(req, parent, name, symlinkat(target, dir.inode->fd, name));
}

static void op_link(fuse_req_t req, fuse_ino_t id, fuse_ino_t parent, const char *name)
{
	auto_inode inode = reference(req, id);
	auto_inode dir = reference(req, parent);
	struct magic_path path;

	if (!inode.inode || !dir.inode) {
		fuse_reply_err(req, no_inode(inode.inode ? parent : id));
		return;
	}
	path = magic(inode.inode->fd);
	if (linkat(self(req)->proc_self_fd, path.name, dir.inode->fd, name, AT_SYMLINK_FOLLOW) < 0)
		fuse_reply_err(req, errno);
	else
		reply_child(req, parent, name);
}

static void remove_child(fuse_req_t req, fuse_ino_t parent, const char *name, int flags)
{
	auto_inode dir = reference(req, parent);

	if (!dir.inode)
		fuse_reply_err(req, no_inode(parent));
	else
		fuse_reply_err(req, unlinkat(dir.inode->fd, name, flags) < 0 ? errno : 0);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_child(req, parent, name, 0);
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_child(req, parent, name, AT_REMOVEDIR);
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent, const char *new_name,
		      unsigned int flags)
{
	auto_inode from = reference(req, parent);
	auto_inode to = reference(req, new_parent);

	if (!from.inode || !to.inode)
		fuse_reply_err(req, no_inode(from.inode ? new_parent : parent));
	else
		fuse_reply_err(req, renameat2(from.inode->fd, name, to.inode->fd, new_name, flags) < 0 ? errno : 0);
}

/* Flags that a guest may hand through to open(2). O_DIRECT is left out: its buffers need alignments that FUSE's lack. */
#define OPEN_FLAGS (O_ACCMODE | O_APPEND | O_TRUNC | O_NOATIME | O_SYNC | O_DSYNC)

/* The guest's kernel handles O_APPEND: it sends each write with its offset. Kept, pwrite(2) would ignore that offset. */
static int host_flags(int flags)
{
	return flags & OPEN_FLAGS & ~O_APPEND;
}

static void op_open(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
	auto_inode inode = reference(req, id);
	int64_t number;
	int fd;

	if (!inode.inode) {
		fuse_reply_err(req, no_inode(id));
		return;
	}
	fd = reopen(self(req), inode.inode, host_flags(fi->flags));
	if (fd < 0) {
		fuse_reply_err(req, errno);
		return;
	}
	number = handle_new(self(req), fd);
	if (number < 0) {
		fuse_reply_err(req, (int)-number);
		return;
	}
	fi->fh = (uint64_t)number;
	if (fuse_reply_open(req, fi) < 0)
		handle_release(self(req), fi->fh);
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
	struct passthrough *fs = self(req);
	auto_inode dir = reference(req, parent);
	struct fuse_entry_param entry;
	int64_t number;
	int fd = -1, error;

	if (!dir.inode) {
		fuse_reply_err(req, no_inode(parent));
		return;
	}
	errno = EPERM;
	/* O_EXCL as the guest asked: without it an existing file is opened, but never through a symbolic link. */
	if (become_caller(req) == 0)
		fd = openat(dir.inode->fd, name,
			    host_flags(fi->flags) | (fi->flags & O_EXCL) | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
			    mode);
	become_self(req);
	if (fd < 0) {
		fuse_reply_err(req, errno);
		return;
	}
	error = lookup_child(req, parent, name, &entry);
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
static void op_read(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset, struct fuse_file_info *fi)
{
	auto_handle handle = handle_reference(req, fi);
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

static void op_write(fuse_req_t req, fuse_ino_t id, const char *data, size_t size, off_t offset,
		     struct fuse_file_info *fi)
{
	auto_handle handle = handle_reference(req, fi);
	ssize_t n;

	(void)id;
	if (!handle.handle) {
		fuse_reply_err(req, EBADF);
		return;
	}
	n = pwrite(handle.handle->fd, data, size, offset);
	if (n < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_write(req, (size_t)n);
}

static void op_flush(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
	(void)id;
	(void)fi;
	/* Nothing is buffered here, and locks are the guest kernel's: it need not ask again. */
	fuse_reply_err(req, ENOSYS);
}

static void op_release(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
	(void)id;
	handle_release(self(req), fi->fh);
	fuse_reply_err(req, 0);
}

static void op_fsync(fuse_req_t req, fuse_ino_t id, int datasync, struct fuse_file_info *fi)
{
	auto_handle handle = handle_reference(req, fi);
	int ret;

	(void)id;
	if (!handle.handle) {
		fuse_reply_err(req, EBADF);
		return;
	}
	ret = datasync ? fdatasync(handle.handle->fd) : fsync(handle.handle->fd);
	fuse_reply_err(req, ret < 0 ? errno : 0);
}

static void op_opendir(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
	auto_inode inode = reference(req, id);
	int64_t number;
	int fd;

	if (id == INODES_ROOT_ID) {
		fi->fh = UINT64_MAX; /* no handle: readdir knows the root by its id */
		fuse_reply_open(req, fi);
		return;
	}
	fd = inode.inode ? openat(inode.inode->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (fd < 0) {
		fuse_reply_err(req, inode.inode ? errno : ENOENT);
		return;
	}
	number = handle_new(self(req), fd);
	if (number < 0) {
		fuse_reply_err(req, (int)-number);
		return;
	}
	fi->fh = (uint64_t)number;
	fi->cache_readdir = 0;
	if (fuse_reply_open(req, fi) < 0)
		handle_release(self(req), fi->fh);
}

/* As the kernel writes it: getdents64(2). */
struct kernel_dirent {
	uint64_t d_ino;
	int64_t d_off;
	unsigned short d_reclen;
	unsigned char d_type;
	char d_name[];
};

/* A reply that fills up entry by entry. */
struct listing {
	fuse_req_t req;
	fuse_ino_t directory;
	bool plus; /* READDIRPLUS: each entry comes with its attributes and counts as looked up */
	char *buf;
	size_t size, used;
};

/* Returns false when the entry does not fit any more. */
static bool add_entry(struct listing *listing, const char *name, uint64_t ino, unsigned char type, off_t next)
{
	struct fuse_entry_param entry = { 0 };
	bool dots = !strcmp(name, ".") || !strcmp(name, "..");
	char *at = listing->buf + listing->used;
	size_t room = listing->size - listing->used, need;

	if (listing->plus && !dots && lookup_child(listing->req, listing->directory, name, &entry) != 0)
		memset(&entry, 0, sizeof(entry)); /* gone meanwhile, or not to be reached: the name alone */
	if (!entry.ino) {
		entry.attr.st_ino = ino;
		entry.attr.st_mode = (mode_t)type << 12;
	}
	if (listing->plus)
		need = fuse_add_direntry_plus(listing->req, at, room, name, &entry, next);
	else
		need = fuse_add_direntry(listing->req, at, room, name, &entry.attr, next);
	if (need > room) {
		if (entry.ino)
			inodes_forget(&self(listing->req)->inodes, entry.ino, 1);
		return false;
	}
	listing->used += need;
	return true;
}

static int list_directory(struct listing *listing, struct handle *handle, off_t offset)
{
	auto_free char *buf = malloc(DIRECTORY_BUFFER);
	int error = 0;
	bool room = true;

	if (!buf)
		return ENOMEM;
	pthread_mutex_lock(&handle->lock);
	if (lseek(handle->fd, offset, SEEK_SET) < 0)
		error = errno;
	while (!error && room) {
		long n = syscall(SYS_getdents64, handle->fd, buf, DIRECTORY_BUFFER);
		long at = 0;

		if (n < 0)
			error = errno;
		if (n <= 0)
			break;
		while (at < n && room) {
			const struct kernel_dirent *entry = (const struct kernel_dirent *)(buf + at);

			room = add_entry(listing, entry->d_name, entry->d_ino, entry->d_type, entry->d_off);
			at += entry->d_reclen;
		}
	}
	pthread_mutex_unlock(&handle->lock);
	return listing->used ? 0 : error;
}

/* The virtual root: the n-th share has offset n + 1. */
static int list_shares(struct listing *listing, off_t offset)
{
	struct passthrough *fs = self(listing->req);
	char name[FS_SHARE_NAME_MAX];
	bool found = true;

	while (found) {
		struct share *share;
		off_t i = 0;

		pthread_mutex_lock(&fs->lock);
		for (share = fs->shares; share && i < offset; share = share->next)
			i++;
		found = share != NULL;
		if (found)
			strcpy(name, share->name);
		pthread_mutex_unlock(&fs->lock);
		if (found && !add_entry(listing, name, (uint64_t)offset + 2, DT_UNKNOWN, offset + 1))
			break;
		offset++;
	}
	return 0;
}

static void read_directory(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset, struct fuse_file_info *fi, bool plus)
{
	struct listing listing = { .req = req, .directory = id, .plus = plus };
	auto_handle handle = handle_reference(req, fi);
	auto_free char *buf = NULL;
	int error;

	if (id != INODES_ROOT_ID && !handle.handle) {
		fuse_reply_err(req, EBADF);
		return;
	}
	listing.size = size < FS_WRITE_MAX ? size : FS_WRITE_MAX;
	listing.buf = buf = malloc(listing.size ? listing.size : 1);
	if (!buf) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	error = id == INODES_ROOT_ID ? list_shares(&listing, offset) : list_directory(&listing, handle.handle, offset);
	if (error)
		fuse_reply_err(req, error);
	else
		fuse_reply_buf(req, listing.buf, listing.used);
}

static void op_readdir(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset, struct fuse_file_info *fi)
{
	read_directory(req, id, size, offset, fi, false);
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset, struct fuse_file_info *fi)
{
	read_directory(req, id, size, offset, fi, true);
}

static void op_statfs(fuse_req_t req, fuse_ino_t id)
{
	auto_inode inode = reference(req, id);
	struct statvfs st = { .f_bsize = 4096, .f_frsize = 4096, .f_namemax = NAME_MAX };

	if (!inode.inode) {
		if (id == INODES_ROOT_ID)
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

/* Extended attributes by path through the working directory, which is /proc/self/fd: O_PATH descriptors have none. */
static void op_setxattr(fuse_req_t req, fuse_ino_t id, const char *name, const char *value, size_t size, int flags)
{
	auto_inode inode = reference(req, id);

	if (!inode.inode) {
		fuse_reply_err(req, no_inode(id));
		return;
	}
	if (inode.inode->type == S_IFLNK)
		fuse_reply_err(req, EPERM);
	else
		fuse_reply_err(req, setxattr(magic(inode.inode->fd).name, name, value, size, flags) < 0 ? errno : 0);
}

static void reply_xattr(fuse_req_t req, const char *value, ssize_t n, size_t size)
{
	if (n < 0)
		fuse_reply_err(req, errno);
	else if (size == 0)
		fuse_reply_xattr(req, (size_t)n);
	else
		fuse_reply_buf(req, value, (size_t)n);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t id, const char *name, size_t size)
{
	auto_inode inode = reference(req, id);
	auto_free char *value = NULL;

	if (!inode.inode) {
		fuse_reply_err(req, id == INODES_ROOT_ID ? ENODATA : ENOENT);
		return;
	}
	if (inode.inode->type == S_IFLNK) {
		fuse_reply_err(req, ENODATA);
		return;
	}
	if (size > XATTR_SIZE_MAX)
		size = XATTR_SIZE_MAX;
	value = malloc(size ? size : 1);
	if (!value)
		fuse_reply_err(req, ENOMEM);
	else
		reply_xattr(req, value, getxattr(magic(inode.inode->fd).name, name, value, size), size);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t id, size_t size)
{
	auto_inode inode = reference(req, id);
	auto_free char *value = NULL;

	if (!inode.inode || inode.inode->type == S_IFLNK) {
		if (size == 0)
			fuse_reply_xattr(req, 0);
		else
			fuse_reply_buf(req, NULL, 0);
		return;
	}
	if (size > XATTR_LIST_MAX)
		size = XATTR_LIST_MAX;
	value = malloc(size ? size : 1);
	if (!value)
		fuse_reply_err(req, ENOMEM);
	else
		reply_xattr(req, value, listxattr(magic(inode.inode->fd).name, value, size), size);
}

static void op_removexattr(fuse_req_t req, fuse_ino_t id, const char *name)
{
	auto_inode inode = reference(req, id);

	if (!inode.inode)
		fuse_reply_err(req, no_inode(id));
	else if (inode.inode->type == S_IFLNK)
		fuse_reply_err(req, EPERM);
	else
		fuse_reply_err(req, removexattr(magic(inode.inode->fd).name, name) < 0 ? errno : 0);
}

static void op_fallocate(fuse_req_t req, fuse_ino_t id, int mode, off_t offset, off_t length, struct fuse_file_info *fi)
{
	auto_handle handle = handle_reference(req, fi);

	(void)id;
	if (!handle.handle)
		fuse_reply_err(req, EBADF);
	else
		fuse_reply_err(req, fallocate(handle.handle->fd, mode, offset, length) < 0 ? errno : 0);
}

static void op_lseek(fuse_req_t req, fuse_ino_t id, off_t offset, int whence, struct fuse_file_info *fi)
{
	auto_handle handle = handle_reference(req, fi);
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

static void op_copy_file_range(fuse_req_t req, fuse_ino_t in, off_t in_offset, struct fuse_file_info *in_fi,
			       fuse_ino_t out, off_t out_offset, struct fuse_file_info *out_fi, size_t len, int flags)
{
	auto_handle from = handle_reference(req, in_fi);
	auto_handle to = handle_reference(req, out_fi);
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
	n = copy_file_range(from.handle->fd, &in_offset, to.handle->fd, &out_offset, len, (unsigned int)flags);
	if (n < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_write(req, (size_t)n);
}

const struct fuse_lowlevel_ops passthrough_ops = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
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
	.fallocate = op_fallocate,
	.lseek = op_lseek,
	.copy_file_range = op_copy_file_range,
};
