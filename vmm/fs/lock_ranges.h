/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of one file that one owner has locked, as the host's kernel keeps them: how many there are, and which. */
#ifndef VMM_FS_LOCK_RANGES_H
#define VMM_FS_LOCK_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/err.h"

struct lock_range {
	off_t start, end; /* both are in it */
	short type;	  /* F_RDLCK, F_WRLCK; of a change F_UNLCK, too */
};

/* In no order; no two overlap, nor do two of a type touch. */
struct lock_ranges {
	struct lock_range *items; /* owned */
	size_t count;
};

/* What `ranges` become by a change as fcntl(2) makes it. The result is the caller's. 0 or ENOMEM. */
int lock_ranges_change(const struct lock_ranges *ranges, const struct lock_range *change, struct lock_ranges *result) must_check;

bool lock_ranges_have(const struct lock_ranges *ranges, const struct lock_range *range);
void lock_ranges_free(struct lock_ranges *ranges);

#endif
