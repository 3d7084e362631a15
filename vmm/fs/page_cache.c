/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guest may keep of a file's contents when it opens the file again, or gets a lock on it.
 *
 * By default a guest forgets them: the file may have changed on the host. Then each program that is started is read anew,
 * and its shared libraries for every process that runs. So who opens a file that is as it was is told to keep what it
 * has (FOPEN_KEEP_CACHE). That it is as it was is what its change time says, which nobody can set back, provided that
 *   - it is so old that another change would have got another time, and that a mapping through which a process of the
 *     host writes, which counts as one change until the kernel has written the pages back (30 seconds), has been counted;
 *   - it was as old when the guest last forgot the contents, so that all it has is from after that change;
 *   - the file system writes back at all: one in memory does not.
 *
 * Attributes a guest believes for a second. Of a file that somebody else has made longer in that time it would read only what the
 * file had before, whoever opens it: /etc/hosts would be empty, which an engine writes when the container is there and its network
 * has come. So who opens a file is told if it has not the size that the guest was told last.
 */
#include "vmm/fs/operations.h"

#include <linux/magic.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#define SETTLED_SECONDS 60

static bool writes_back(int fd)
{
	static const unsigned long types[] = {
		EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC,
		EROFS_SUPER_MAGIC_V1, SQUASHFS_MAGIC,
	};
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if ((unsigned long)fs.f_type == types[i])
			return true;
	return false;
}

bool page_cache_may_stay(struct passthrough *fs, struct inode *inode, int fd)
{
	struct timespec now;
	bool settled;
	struct stat st;

	if (inode->type != S_IFREG || fstat(fd, &st) < 0 || clock_gettime(CLOCK_REALTIME, &now) < 0)
		return false;
	settled = now.tv_sec - st.st_ctim.tv_sec > SETTLED_SECONDS && writes_back(fd);
	return inodes_note_change(&fs->inodes, inode, settled ? &st.st_ctim : NULL);
}

bool page_cache_size_is_new(const struct passthrough *fs, struct inode *inode, int fd, bool truncated)
{
	struct stat st;
	off_t told;

	if (inode->type != S_IFREG || fstat(fd, &st) < 0)
		return false;
	told = atomic_exchange(&inode->told_size, st.st_size);
	return fs->own_kernel && !truncated && told != st.st_size;
}

void page_cache_grows(struct inode *inode, off_t size)
{
	off_t told = inode->told_size;

	while (told < size && !atomic_compare_exchange_weak(&inode->told_size, &told, size))
		;
}
