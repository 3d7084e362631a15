/* SPDX-License-Identifier: Apache-2.0 */
/* Two descriptors joined: what comes from one goes to the other. Sockets: an end is passed on as one (a half close). */
#ifndef LIB_RELAY_H
#define LIB_RELAY_H

#include "lib/err.h"
#include "lib/loop.h"

struct relay;

enum relay_direction {
	RELAY_THERE = 1, /* from a to b */
	RELAY_BACK = 2,
	RELAY_BOTH = RELAY_THERE | RELAY_BACK,
};

/*
 * Owns both descriptors, non-blocking ones, in every case. It frees itself after done, which comes when all its
 * directions have ended, and never from within relay_new.
 */
struct relay *relay_new(struct loop *loop, int a, int b, enum relay_direction directions, void (*done)(void *ctx), void *ctx,
			struct err *err);

/* These directions end at once, whatever they still hold; with the last one comes done, from within. */
void relay_drop(struct relay *relay, enum relay_direction directions);

/* No writer of this direction counts any more (copier_finish); with the last one comes done, maybe from within. */
void relay_finish(struct relay *relay, enum relay_direction direction);

#endif
