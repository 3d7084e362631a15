/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A token bucket: so many bytes a second, and a tenth of that at once. What goes may overdraw it; then nothing goes until
 * that is made up for.
 */
#ifndef VMM_RATE_LIMIT_H
#define VMM_RATE_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/loop.h"

struct rate_limit {
	uint64_t bytes_per_second; /* 0: no limit */
	int64_t tokens;		   /* bytes */
	int64_t filled_ns;	   /* CLOCK_MONOTONIC, when tokens was right */
	struct loop *loop;	   /* borrowed */
	int timer;		   /* owned, -1: none */
};

/* ready is called from the loop once rate_limit_open has said no and would say yes; it calls rate_limit_wake. */
int rate_limit_init(struct rate_limit *limit, uint64_t bytes_per_second, struct loop *loop, loop_handler *ready, void *ctx,
		    struct err *err) must_check;

/* Whether something may go now; if not, ready will be called. */
bool rate_limit_open(struct rate_limit *limit);

/* It went. */
void rate_limit_spend(struct rate_limit *limit, size_t bytes);

/* From ready. */
void rate_limit_wake(struct rate_limit *limit);

void rate_limit_done(struct rate_limit *limit);

#endif
