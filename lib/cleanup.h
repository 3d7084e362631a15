/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locals that release themselves when their scope ends. errno survives the release. Ownership leaves a scope by
 * fd_take() or ptr_take(), visibly.
 */
#ifndef LIB_CLEANUP_H
#define LIB_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_fd(int *fd)
{
	int saved = errno;

	/* On Linux the descriptor is gone even when close(2) reports EINTR: never retried. */
	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

static inline void cleanup_ptr(void *ptr)
{
	int saved = errno;

	free(*(void **)ptr);
	errno = saved;
}

static inline void cleanup_file(FILE **file)
{
	int saved = errno;

	if (*file)
		fclose(*file);
	errno = saved;
}

static inline void cleanup_dir(DIR **dir)
{
	int saved = errno;

	if (*dir)
		closedir(*dir);
	errno = saved;
}

#define auto_fd	  __attribute__((cleanup(cleanup_fd))) int
#define auto_free __attribute__((cleanup(cleanup_ptr)))
#define auto_file __attribute__((cleanup(cleanup_file))) FILE *
#define auto_dir  __attribute__((cleanup(cleanup_dir))) DIR *

/* Closes *fd unless it is -1, which it is then. */
static inline void fd_close(int *fd)
{
	cleanup_fd(fd);
	*fd = -1;
}

static inline int fd_take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#define ptr_take(p)                       \
	({                                \
		__typeof__(*(p)) taken_ = *(p); \
		*(p) = NULL;              \
		taken_;                   \
	})

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
