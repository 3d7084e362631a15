/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks of the guest's, which the host and other VMs respect: flock(2) and fcntl(2)'s.
 *
 * flock(2)'s belong to an open file, and each of the guest's has one here. fcntl(2)'s belong to a process (or, F_OFD_SETLK, to an
 * open file), of which there is only one here for all: so each owner has a descriptor of its own for each file, whose open file has
 * the locks (fcntl(2), "Open file description locks"). They go when the process closes the file, which is when the guest flushes it,
 * or at the latest with the open file that they came through.
 *
 * No request waits for a lock: the guest's kernel asks again. Who gets one is told whether others may have written to the file
 * since the guest read it (guest-kernel/patches/virtiofs-locks.patch).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "vmm/fs/locks.h"
#include "vmm/fs/operations.h"

static struct lock_owner *find(const struct inode *inode, uint64_t id)
{
	struct lock_owner *owner = inode->lock_owners;

	while (owner && owner->id != id)
		owner = owner->next;
	return owner;
}

/* For all kinds of locks if the host lets us, as more open files than this one may belong to the owner. */
static int open_for_locks(struct passthrough *fs, const struct inode *inode, const struct handle *handle)
{
	int fd = inode_reopen(fs, inode, O_RDWR), flags;

	if (fd >= 0)
		return fd;
	flags = fcntl(handle->fd, F_GETFL);
	return flags < 0 ? -1 : inode_reopen(fs, inode, flags & O_ACCMODE);
}

/* Takes fd. Under the lock, as all below but what answers. */
static struct lock_owner *add(struct inode *inode, const struct fuse_file_info *fi, int fd)
{
	struct lock_owner *owner = calloc(1, sizeof(*owner));

	if (!owner) {
		close(fd);
		return NULL;
	}
	*owner = (struct lock_owner){ .id = fi->lock_owner, .handle = fi->fh, .fd = fd, .next = inode->lock_owners };
	inode->lock_owners = owner;
	return owner;
}

static void free_owner(struct inodes *inodes, struct lock_owner *owner)
{
	atomic_fetch_sub(&inodes->lock_ranges, owner->ranges.count);
	lock_ranges_free(&owner->ranges);
	close(owner->fd);
	free(owner);
}

void locks_drop_all(struct inodes *inodes, struct inode *inode)
{
	while (inode->lock_owners) {
		struct lock_owner *owner = inode->lock_owners;

		inode->lock_owners = owner->next;
		free_owner(inodes, owner);
	}
}

static void drop(struct inodes *inodes, struct inode *inode, bool (*which)(const struct lock_owner *, uint64_t), uint64_t number)
{
	struct lock_owner **at = &inode->lock_owners, *owner;

	while ((owner = *at)) {
		if (!which(owner, number)) {
			at = &owner->next;
			continue;
		}
		*at = owner->next;
		free_owner(inodes, owner);
	}
}

static bool has_id(const struct lock_owner *owner, uint64_t id)
{
	return owner->id == id;
}

static bool came_through(const struct lock_owner *owner, uint64_t handle)
{
	return owner->handle == handle;
}

void locks_drop_owner(struct passthrough *fs, struct inode *inode, uint64_t owner)
{
	pthread_mutex_lock(&fs->locks);
	drop(&fs->inodes, inode, has_id, owner);
	pthread_mutex_unlock(&fs->locks);
}

void locks_drop_handle(struct passthrough *fs, struct inode *inode, uint64_t handle)
{
	pthread_mutex_lock(&fs->locks);
	drop(&fs->inodes, inode, came_through, handle);
	pthread_mutex_unlock(&fs->locks);
}

/* False for what the host's kernel, too, would refuse, and for ranges before l_start, which no guest has (FUSE has an end). */
static bool range_of(const struct flock *lock, struct lock_range *range)
{
	if (lock->l_start < 0 || lock->l_len < 0 || lock->l_len > INT64_MAX - lock->l_start)
		return false;
	*range = (struct lock_range){ lock->l_start, lock->l_len ? lock->l_start + lock->l_len - 1 : INT64_MAX, lock->l_type };
	return true;
}

/* The host's kernel lets anybody have any number of ranges, in memory that it accounts to nobody (before Linux 6.8). */
static int lock_range(struct passthrough *fs, struct lock_owner *owner, struct flock *lock)
{
	struct lock_ranges ranges;
	struct lock_range range;
	int error = range_of(lock, &range) ? lock_ranges_change(&owner->ranges, &range, &ranges) : EINVAL;

	if (error)
		return error == ENOMEM ? ENOLCK : error;
	if (ranges.count > owner->ranges.count && fs->inodes.lock_ranges + ranges.count - owner->ranges.count > FS_LOCK_RANGES_MAX)
		error = ENOLCK;
	else if (fcntl(owner->fd, F_OFD_SETLK, lock) < 0)
		error = errno;
	if (error) {
		lock_ranges_free(&ranges);
		return error;
	}
	atomic_fetch_add(&fs->inodes.lock_ranges, ranges.count - owner->ranges.count);
	lock_ranges_free(&owner->ranges);
	owner->ranges = ranges;
	return 0;
}

/* Takes fd, which is not needed if the owner is there already; -1: it must be, or have no locks. */
static int set_lock(struct passthrough *fs, struct inode *inode, const struct fuse_file_info *fi, struct flock *lock, int fd)
{
	struct lock_owner *owner = find(inode, fi->lock_owner);

	if (owner && fd >= 0)
		close(fd);
	else if (!owner && fd >= 0)
		owner = add(inode, fi, fd);
	else if (!owner)
		return lock->l_type == F_UNLCK ? 0 : ENOENT;
	if (!owner)
		return ENOLCK;
	owner->pid = lock->l_pid;
	lock->l_pid = 0; /* fcntl(2), F_OFD_SETLK */
	return lock_range(fs, owner, lock);
}

/* To open the file may take as long as somebody on the host has a lease on it (fcntl(2)): nobody else waits for that. */
static int open_and_set_lock(struct passthrough *fs, struct inode *inode, const struct handle *handle, const struct fuse_file_info *fi,
			     struct flock *lock)
{
	int error, fd;

	pthread_mutex_lock(&fs->locks);
	error = set_lock(fs, inode, fi, lock, -1);
	pthread_mutex_unlock(&fs->locks);
	if (error != ENOENT)
		return error;
	fd = open_for_locks(fs, inode, handle);
	if (fd < 0)
		return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? ENOLCK : errno;
	pthread_mutex_lock(&fs->locks);
	error = set_lock(fs, inode, fi, lock, fd);
	pthread_mutex_unlock(&fs->locks);
	return error;
}

/* The answer to a guest that has the lock now: nothing that it read of the file before counts any more, unless it is as it was. */
static int locked(struct passthrough *fs, struct inode *inode, const struct handle *handle)
{
	return page_cache_may_stay(fs, inode, handle->fd) ? 0 : EREMCHG;
}

void op_setlk(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi, struct flock *lock, int sleep)
{
	struct passthrough *fs = passthrough_of(req);
	auto_inode inode = inode_of(req, id);
	auto_handle handle = handle_of(req, fi);
	int error = EBADF;

	(void)sleep;
	if (inode.inode && handle.handle)
		error = open_and_set_lock(fs, inode.inode, handle.handle, fi, lock);
	if (error == 0 && lock->l_type != F_UNLCK)
		error = locked(fs, inode.inode, handle.handle);
	fuse_reply_err(req, error);
}

/* A process of this guest's that has the lock; the host knows that it is an open file of ours. 0: it is not in this guest. */
static pid_t holder_of(const struct inode *inode, const struct flock *lock)
{
	struct lock_range range;

	if (lock->l_pid != -1 || !range_of(lock, &range))
		return 0;
	for (const struct lock_owner *owner = inode->lock_owners; owner; owner = owner->next)
		if (lock_ranges_have(&owner->ranges, &range))
			return owner->pid;
	return 0;
}

/* own: for an owner without any, whom anybody's lock is in the way of. */
static int get_lock(const struct inode *inode, uint64_t id, struct flock *lock, int own)
{
	const struct lock_owner *owner = find(inode, id);

	lock->l_pid = 0;
	if (fcntl(owner ? owner->fd : own, F_OFD_GETLK, lock) < 0)
		return errno;
	if (lock->l_type != F_UNLCK)
		lock->l_pid = holder_of(inode, lock);
	return 0;
}

void op_getlk(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi, struct flock *lock)
{
	struct passthrough *fs = passthrough_of(req);
	auto_inode inode = inode_of(req, id);
	auto_handle handle = handle_of(req, fi);
	auto_fd own = -1;
	int error = EBADF;

	if (inode.inode && handle.handle) {
		own = open_for_locks(fs, inode.inode, handle.handle);
		error = own < 0 ? errno : 0;
	}
	if (error == 0) {
		pthread_mutex_lock(&fs->locks);
		error = get_lock(inode.inode, fi->lock_owner, lock, own);
		pthread_mutex_unlock(&fs->locks);
	}
	if (error)
		fuse_reply_err(req, error);
	else
		fuse_reply_lock(req, lock);
}

void op_flock(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi, int operation)
{
	auto_inode inode = inode_of(req, id);
	auto_handle handle = handle_of(req, fi);

	if (!inode.inode || !handle.handle)
		fuse_reply_err(req, EBADF);
	else if (flock(handle.handle->fd, operation | LOCK_NB) < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_err(req, operation & LOCK_UN ? 0 : locked(passthrough_of(req), inode.inode, handle.handle));
}
