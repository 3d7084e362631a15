/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A socket of the host that takes datagrams (-v /dev/log:/dev/log), in the guest: what is sent to the agent's socket goes, in the order
 * in which it came and each with its sender's ids, to the stand-in on one connection (lib/datagram_frame.h). While that takes no more
 * nothing is read, and senders wait as for any slow receiver. Nothing comes back.
 */
#ifndef AGENT_HOST_DATAGRAMS_H
#define AGENT_HOST_DATAGRAMS_H

#include "lib/err.h"
#include "lib/loop.h"

struct host_datagrams;

/*
 * clients: a non-blocking datagram socket that has its name already; owned in every case. index: in config.json's mounts; port: where
 * the stand-in listens. NULL on error.
 */
struct host_datagrams *host_datagrams_new(struct loop *loop, int clients, unsigned int port, unsigned int index, struct err *err);

/*
 * Nobody sends any more. What has been sent goes out, ahead of its connection's end, and the connection is asked for before anything
 * that is said to the host after this call. It frees itself.
 */
void host_datagrams_finish(struct host_datagrams *datagrams);

#endif
