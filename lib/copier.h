/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One direction of a byte stream between two descriptors, driven by the loop: nothing is lost, nothing is buffered
 * beyond one chunk, a slow reader holds the writer up.
 */
#ifndef LIB_COPIER_H
#define LIB_COPIER_H

#include "lib/err.h"
#include "lib/loop.h"

struct copier;

/*
 * Copies from `from` to `to` until the end of `from` or an error on either; then closes both and calls done. Owns both
 * descriptors in every case (even on failure). They must be non-blocking, or of a kind that never blocks (files). Before
 * done is called, the copier is its owner's to cancel; done may come before copier_new's caller has returned to the loop,
 * but never from within copier_new.
 */
struct copier *copier_new(struct loop *loop, int from, int to, void (*done)(void *ctx), void *ctx, struct err *err);

/* No writer of `from` counts any more: what is there now is copied, then the copier is done without waiting for an end. */
void copier_finish(struct copier *copier);

/* Closes both ends at once; done is not called. */
void copier_cancel(struct copier *copier);

#endif
