/* SPDX-License-Identifier: Apache-2.0 */
/* Paths below a root that somebody else controls: symbolic links in them never lead out (openat2(2), RESOLVE_IN_ROOT). */
#ifndef LIB_PATH_H
#define LIB_PATH_H

#include <sys/types.h>

#include "lib/err.h"

/* Opens path as if root were "/". A close-on-exec descriptor or -errno. */
int path_open_in_root(int root, const char *path, int flags) must_check;

/* The directory at path, made with its parents (mode) where missing. An O_PATH descriptor or -errno. */
int path_make_directory(int root, const char *path, mode_t mode) must_check;

/* As path_make_directory for the parents, then an empty file at path where nothing is. An O_PATH descriptor. */
int path_make_file(int root, const char *path, mode_t mode) must_check;

#endif
