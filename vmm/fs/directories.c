/* SPDX-License-Identifier: Apache-2.0 */
/* Open directories: listing them, virtual ones among them. */
#include "vmm/fs/operations.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DIRECTORY_BUFFER (32 << 10)

void op_opendir(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
	auto_inode inode = inode_of(req, id);
	int64_t number;
	int fd;

	if (inodes_is_virtual(id)) {
		fi->fh = UINT64_MAX; /* no handle: readdir knows them by their ids */
		fuse_reply_open(req, fi);
		return;
	}
	fd = inode.inode ? openat(inode.inode->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (fd < 0) {
		fuse_reply_err(req, inode.inode ? errno : ENOENT);
		return;
	}
	number = handle_new(passthrough_of(req), fd);
	if (number < 0) {
		fuse_reply_err(req, (int)-number);
		return;
	}
	fi->fh = (uint64_t)number;
	fi->cache_readdir = 0;
	if (fuse_reply_open(req, fi) < 0)
		handle_release(passthrough_of(req), fi->fh);
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

/* Returns the room that it needs, and adds it if there is as much. */
static size_t add_entry_with_attributes(struct listing *listing, const char *name, const struct fuse_entry_param *entry, off_t next)
{
	struct fuse_direntplus *at = (struct fuse_direntplus *)(listing->buf + listing->used);
	size_t room = listing->size - listing->used;
	size_t need = fuse_add_direntry_plus(listing->req, (char *)at, room, name, entry, next);

	if (need <= room && entry->ino)
		at->entry_out.attr.flags |= fs_current_request()->attribute_flags;
	return need;
}

/* Returns false when the entry does not fit any more. */
static bool add_entry(struct listing *listing, const char *name, uint64_t ino, unsigned char type, off_t next)
{
	struct fuse_entry_param entry = { 0 };
	bool dots = !strcmp(name, ".") || !strcmp(name, "..");
	char *at = listing->buf + listing->used;
	size_t room = listing->size - listing->used, need;

	/* What is in the root becomes a mount when it is looked up; with its attributes from here it would stay a directory. */
	if (listing->plus && !dots && listing->directory != INODES_ROOT_ID && lookup_child(listing->req, listing->directory, name, &entry) != 0)
		memset(&entry, 0, sizeof(entry)); /* gone meanwhile, or not to be reached: the name alone */
	if (!entry.ino) {
		entry.attr.st_ino = ino;
		entry.attr.st_mode = (mode_t)type << 12;
	}
	if (listing->plus)
		need = add_entry_with_attributes(listing, name, &entry, next);
	else
		need = fuse_add_direntry(listing->req, at, room, name, &entry.attr, next);
	if (need > room) {
		if (entry.ino)
			inodes_forget(&passthrough_of(listing->req)->inodes, entry.ino, 1);
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

			unsigned char type = entry->d_type;

			if (!listing->plus)
				type = devices_entry_type(passthrough_of(listing->req), handle->fd, entry->d_name, type);
			room = add_entry(listing, entry->d_name, entry->d_ino, type, entry->d_off);
			at += entry->d_reclen;
		}
	}
	pthread_mutex_unlock(&handle->lock);
	return listing->used ? 0 : error;
}

static int list_virtual(struct listing *listing, off_t offset)
{
	struct passthrough *fs = passthrough_of(listing->req);
	char name[FS_SHARE_NAME_MAX];
	int ret;

	while ((ret = virtual_entry(fs, listing->directory, offset, name)) >= 0) {
		if (ret && !add_entry(listing, name, (uint64_t)offset + 2, DT_UNKNOWN, offset + 1))
			break;
		offset++;
	}
	return 0;
}

static void read_directory(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset, struct fuse_file_info *fi, bool plus)
{
	struct listing listing = { .req = req, .directory = id, .plus = plus };
	auto_handle handle = handle_of(req, fi);
	auto_free char *buf = NULL;
	int error;

	if (!inodes_is_virtual(id) && !handle.handle) {
		fuse_reply_err(req, EBADF);
		return;
	}
	listing.size = size < FS_WRITE_MAX ? size : FS_WRITE_MAX;
	listing.buf = buf = malloc(listing.size ? listing.size : 1);
	if (!buf) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	error = inodes_is_virtual(id) ? list_virtual(&listing, offset) : list_directory(&listing, handle.handle, offset);
	if (error)
		fuse_reply_err(req, error);
	else
		fuse_reply_buf(req, listing.buf, listing.used);
}

void op_readdir(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset, struct fuse_file_info *fi)
{
	read_directory(req, id, size, offset, fi, false);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset, struct fuse_file_info *fi)
{
	read_directory(req, id, size, offset, fi, true);
}
