/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that moves bulk data, and that preempts nobody meanwhile. */
#ifndef LIB_BATCH_H
#define LIB_BATCH_H

#include "lib/loop.h"

/*
 * A large piece of a stream was moved, by the thread of this loop (one in a process). It is SCHED_BATCH from now on, until no other
 * piece has come for a tenth of a second: when it wakes up it waits until who runs has used his time slice, or waits himself. So a
 * pipe is filled before it is emptied, instead of one piece at a time, and what comes of it is sent at once. Where it cannot be had
 * (no timer left), nothing changes.
 */
void batch_piece_moved(struct loop *loop);

/* For a child of that thread, which has inherited it: the child is SCHED_OTHER. */
void batch_end_in_child(void);

#endif
