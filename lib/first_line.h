/* SPDX-License-Identifier: Apache-2.0 */
/* A connection whose first line says what it is for. */
#ifndef LIB_FIRST_LINE_H
#define LIB_FIRST_LINE_H

#include <stddef.h>

#include "lib/err.h"
#include "lib/loop.h"

/*
 * Reads a connection's first line, of at most max bytes, and nothing of what follows it. Owns fd, a non-blocking socket, in every
 * case but this: done, which is called once and never from within, owns it then. Its line ends with the newline and a NUL, and is
 * gone after the call; NULL: the connection ended before, or the line is longer. 0 or -errno; the loop's thread.
 */
int first_line_read(struct loop *loop, int fd, size_t max, void (*done)(void *ctx, int fd, char *line), void *ctx,
		    struct err *err) must_check;

#endif
