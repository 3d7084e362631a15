/* SPDX-License-Identifier: Apache-2.0 */
/* Two sockets joined: what comes from one goes to the other, both ways, until either ends. */
#ifndef LIB_RELAY_H
#define LIB_RELAY_H

#include "lib/err.h"
#include "lib/loop.h"

struct relay;

/*
 * Owns both descriptors, non-blocking ones, in every case. It frees itself after done, which never comes from within
 * relay_new.
 */
struct relay *relay_new(struct loop *loop, int a, int b, void (*done)(void *ctx), void *ctx, struct err *err);

#endif
