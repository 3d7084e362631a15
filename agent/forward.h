/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections from within the network namespace on the host to the guest's own addresses, loopback included: engines make
 * them to forward ports. Frames cannot carry them, so the stand-in hands them over (runtime/forward.h).
 */
#ifndef AGENT_FORWARD_H
#define AGENT_FORWARD_H

#include "agent/proto/agent.pb-c.h"
#include "lib/err.h"
#include "lib/loop.h"
#include "lib/ttrpc.h"

/*
 * Connects to what the request names in the network namespace that the agent is in, whose number is network, then to the
 * host's vsock port PORT_FORWARD, where the request's number tells which connection it is, and joins the two. The call is
 * answered when that is done, or has failed.
 */
int forward_connect(struct loop *loop, const Cella__Agent__ConnectRequest *request, unsigned int network, struct ttrpc *conn,
		    uint32_t stream, struct err *err) must_check;

/* Calls of this connection need no answer any more. */
void forward_connection_ended(struct ttrpc *conn);

#endif
