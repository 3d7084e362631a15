/* SPDX-License-Identifier: Apache-2.0 */
/* Running another program to its end. */
#ifndef LIB_PROGRAM_H
#define LIB_PROGRAM_H

#include <stddef.h>

/*
 * Runs argv[0] (a path, or a name that is looked up in PATH) with our environment, no input, and its output thrown away.
 * The first line that it writes to standard error goes to words. Its exit status (127: it cannot be run, 128 + N: signal
 * N), or -errno. Other children of the caller are left alone.
 */
int program_run(const char *const argv[], char *words, size_t size);

#endif
