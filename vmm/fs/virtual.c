/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directories above the shares, which are nowhere on the host.
 *
 * The root has a directory for each file system of the host that shares are on, which has those shares. The guest mounts such a
 * directory when it comes to it (FUSE_ATTR_SUBMOUNT in linux/fuse.h) as a file system of its own: like the host it has one
 * superblock for all that it sees of one, and its files have the same (st_dev, st_ino) when they are the same file, and only then.
 */
#include "vmm/fs/operations.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "lib/share_directory.h"

struct stat virtual_stat(fuse_ino_t id)
{
	return (struct stat){ .st_ino = id, .st_mode = S_IFDIR | 0555, .st_nlink = 2, .st_blksize = 4096 };
}

fuse_ino_t virtual_find(struct passthrough *fs, const char *name)
{
	fuse_ino_t id = 0;

	pthread_mutex_lock(&fs->lock);
	for (struct share *share = fs->shares; share && !id; share = share->next) {
		char directory[SHARE_DIRECTORY_MAX];

		share_directory(directory, share->dev);
		if (!strcmp(directory, name))
			id = inodes_file_system_id(share->dev);
	}
	pthread_mutex_unlock(&fs->lock);
	return id;
}

int virtual_open_share(struct passthrough *fs, fuse_ino_t directory, const char *name)
{
	int fd = -1;

	errno = ENOENT;
	pthread_mutex_lock(&fs->lock);
	for (struct share *share = fs->shares; share; share = share->next)
		if (inodes_file_system_id(share->dev) == directory && !strcmp(share->name, name)) {
			fd = fcntl(share->fd, F_DUPFD_CLOEXEC, 0);
			break;
		}
	pthread_mutex_unlock(&fs->lock);
	return fd;
}

/* Whether a share stands for an entry of the directory; in the root the first one does for those that are beside it. */
static bool stands_for_entry(const struct passthrough *fs, fuse_ino_t directory, const struct share *share, char name[FS_SHARE_NAME_MAX])
{
	const struct share *first = fs->shares;

	if (directory == INODES_ROOT_ID) {
		while (first->dev != share->dev)
			first = first->next;
		share_directory(name, share->dev);
		return first == share;
	}
	strcpy(name, share->name);
	return inodes_file_system_id(share->dev) == directory;
}

int virtual_entry(struct passthrough *fs, fuse_ino_t directory, off_t offset, char name[FS_SHARE_NAME_MAX])
{
	struct share *share;
	int ret = -ENOENT;

	if (offset < 0) /* the guest's to choose */
		return ret;
	pthread_mutex_lock(&fs->lock);
	share = fs->shares;
	for (off_t i = 0; share && i < offset; i++)
		share = share->next;
	if (share)
		ret = stands_for_entry(fs, directory, share, name);
	pthread_mutex_unlock(&fs->lock);
	return ret;
}
