/* SPDX-License-Identifier: Apache-2.0 */
/* The host's side of agent/host_datagrams.h: what comes as frames on a connection of the guest's is sent to a socket of the host. */
#ifndef RUNTIME_HOST_DATAGRAMS_H
#define RUNTIME_HOST_DATAGRAMS_H

#include "lib/err.h"
#include "lib/loop.h"

struct host_datagrams;

/*
 * guest: the connection, after its first line; host: a datagram socket that is connected. Both are non-blocking, and owned in every
 * case. Each datagram is sent with the ids that the guest says (unix(7), SCM_CREDENTIALS), as far as this process may; one that the
 * host refuses is lost, and the log tells. It ends, calls done, never from within, and frees itself when the guest has ended the
 * connection or sends anything but frames, and when nobody receives on the host any more. NULL on error.
 */
struct host_datagrams *host_datagrams_new(struct loop *loop, int guest, int host, void (*done)(void *ctx), void *ctx, struct err *err);

#endif
