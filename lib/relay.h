/* SPDX-License-Identifier: Apache-2.0 */
/* Two sockets joined: what comes from one goes to the other, both ways. An end is passed on as one (a half close). */
#ifndef LIB_RELAY_H
#define LIB_RELAY_H

#include "lib/err.h"
#include "lib/loop.h"

struct relay;

/*
 * Owns both descriptors, non-blocking ones, in every case. It frees itself after done, which comes when both
 * directions have ended, and never from within relay_new.
 */
struct relay *relay_new(struct loop *loop, int a, int b, void (*done)(void *ctx), void *ctx, struct err *err);

#endif
