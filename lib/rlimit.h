/* SPDX-License-Identifier: Apache-2.0 */
/* The resource limits of process.rlimits. */
#ifndef LIB_RLIMIT_H
#define LIB_RLIMIT_H

#include <jansson.h>
#include <sys/resource.h>

/* RLIMIT_NOFILE and so on to the number, or -1. */
int rlimit_number(const char *name);

/* A limit from JSON: -1 and values beyond 2^63 - 1 (which arrive as reals) are RLIM_INFINITY. */
rlim_t rlimit_value(const json_t *value);

#endif
