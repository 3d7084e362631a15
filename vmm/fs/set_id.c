/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Set-id bits. Before a file changes, the guest's kernel takes them away with a SETATTR of its own, unless the caller has
 * CAP_FSETID (FUSE without HANDLE_KILLPRIV: fuse_setattr in fs/fuse/dir.c); what is still there shall stay. The host's kernel
 * would take it all the same, because a capability in the VMM's user namespace does not count for that (setattr_should_drop_suidgid
 * in fs/attr.c). So here the bits are set again. A file without any, which is nearly every file, costs one stat.
 */
#include "vmm/fs/operations.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define SET_ID (S_ISUID | S_ISGID)

/* The mode of a regular file. False for what has no bits to lose, as directories, and for what cannot be asked. */
static bool regular_mode(int fd, mode_t *mode)
{
	struct stat st;

	if (fstatat(fd, "", &st, AT_EMPTY_PATH) < 0 || !S_ISREG(st.st_mode))
		return false;
	*mode = st.st_mode & 07777;
	return true;
}

static mode_t set_id_bits(int fd)
{
	mode_t mode;

	return regular_mode(fd, &mode) ? mode & SET_ID : 0;
}

mode_t set_id_keep(struct passthrough *fs, int fd)
{
	mode_t bits = set_id_bits(fd);

	if (!bits)
		return 0;
	/* From here to set_id_restore nobody may take a bit that is then given back: chown(2) and chmod(2) wait. */
	pthread_mutex_lock(&fs->modes);
	bits = set_id_bits(fd);
	if (!bits)
		pthread_mutex_unlock(&fs->modes);
	return bits;
}

/* If the host refuses, the file has changed nevertheless, and lost the bits as it would have to any process there. */
static bool give_back(struct passthrough *fs, int fd, mode_t kept)
{
	struct magic_path path = magic_path(fd);
	mode_t mode;

	if (!regular_mode(fd, &mode))
		return false;
	return (mode & kept) == kept || fchmodat(fs->proc_self_fd, path.name, mode | kept, 0) == 0;
}

void set_id_restore(struct passthrough *fs, int fd, mode_t kept)
{
	int saved = errno;

	if (!kept)
		return;
	(void)give_back(fs, fd, kept);
	pthread_mutex_unlock(&fs->modes);
	errno = saved;
}
