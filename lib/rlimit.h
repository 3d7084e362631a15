/* SPDX-License-Identifier: Apache-2.0 */
/* The resource limits of process.rlimits. */
#ifndef LIB_RLIMIT_H
#define LIB_RLIMIT_H

#include <jansson.h>
#include <stddef.h>
#include <sys/resource.h>

#define RLIMIT_GUEST_FILES 1048576 /* fs.nr_open of the guest: it refuses a higher limit */

struct rlimit_kind {
	const char *name; /* as config.json has it */
	int number;
};

extern const struct rlimit_kind rlimit_kinds[];
extern const size_t rlimit_kind_count;

/* RLIMIT_NOFILE and so on to the number, or -1. */
int rlimit_number(const char *name);

/* A limit from JSON: -1 and values beyond 2^63 - 1 (which arrive as reals) are RLIM_INFINITY. */
rlim_t rlimit_value(const json_t *value);

#endif
