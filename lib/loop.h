/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The epoll loop. One thread runs a loop; all its calls are made from that thread, except loop_stop.
 *
 * A source is registered by its descriptor, which stays owned by the caller and must stay open until loop_remove.
 * Handlers never block. A handler may remove any source, its own included, and free what belongs to it: events that
 * are still queued for a removed source are dropped.
 */
#ifndef LIB_LOOP_H
#define LIB_LOOP_H

#include <stdint.h>

#include "lib/err.h"

struct loop;

/* events: the epoll bits that are set (EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR). */
typedef void loop_handler(void *ctx, uint32_t events);

struct loop *loop_new(struct err *err);
void loop_free(struct loop *loop);

/* events: EPOLLIN, EPOLLOUT and/or EPOLLET; 0 is allowed (only errors and hang-ups are reported). */
int loop_add(struct loop *loop, int fd, uint32_t events, loop_handler *handler, void *ctx, struct err *err) must_check;
void loop_modify(struct loop *loop, int fd, uint32_t events);
void loop_remove(struct loop *loop, int fd);

/* Dispatches until loop_stop; -1 as timeout_ms waits for ever. Returns 0 when stopped, -ETIMEDOUT, or -errno. */
int loop_run(struct loop *loop, int timeout_ms) must_check;

/* Waits once and dispatches what came. Returns the number of events, 0 on a timeout or a signal, or -errno. */
int loop_step(struct loop *loop, int timeout_ms) must_check;

/* Makes loop_run return after the current batch. Safe from a handler or a signal handler. */
void loop_stop(struct loop *loop);

#endif
