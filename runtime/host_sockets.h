/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets of the host that are bound into a container, or are in directories that are, the host's side (agent/host_sockets.h,
 * agent/outside_sockets.h). The stand-in gets them of the VMM, which knows which one the guest means, and connects as the user and
 * the groups that the guest's process has: who asks for SO_PEERCRED sees them, and what they may not connect to on the host they do
 * not. Those that take datagrams (runtime/host_datagrams.h) it holds as the container was given them, connects to once, and sends
 * each datagram as the guest's process.
 */
#ifndef RUNTIME_HOST_SOCKETS_H
#define RUNTIME_HOST_SOCKETS_H

#include <stdbool.h>

#include "agent/proto/agent.pb-c.h"
#include "lib/err.h"
#include "lib/loop.h"
#include "runtime/share.h"
#include "runtime/standin.h"

struct host_sockets {
	struct loop *loop;		/* borrowed */
	const struct standin_job *job;	/* borrowed; NULL: nothing listens */
	int listener;			/* owned */
	int descriptors, vm_dir;	/* /proc/self/fd and the VM's directory, from before the root changes; owned */
	struct host_connection *list; /* owned */
	unsigned int connections;
	void (*finished)(void *ctx);
	void *ctx;
	int timer; /* owned */
	bool given_up; /* on what is still there */
};

/* Creator: the job gets the sockets of the list, whose descriptors they stay, and a port. */
int host_sockets_find(struct standin_job *job, const struct share_list *list, struct err *err) must_check;

/* Whether this share is one of the job's. message gets what the agent needs of it. */
bool host_sockets_describe(const struct standin_job *job, const struct share *share, Cella__Agent__HostSocket *message);

/* Stand-in, before its root changes; nothing if the job, an exec's, has no port. job is borrowed. */
int host_sockets_start(struct host_sockets *sockets, const struct standin_job *job, struct loop *loop, struct err *err) must_check;

/*
 * The container has ended: what it said last goes to the host, as long as it takes it, and finished is called when that is done; it
 * may be from within. Until then it is busy.
 */
void host_sockets_finish(struct host_sockets *sockets, void (*finished)(void *ctx), void *ctx);

static inline bool host_sockets_busy(const struct host_sockets *sockets)
{
	return sockets->connections > 0 && !sockets->given_up;
}

/* Stand-in, at its end: nobody listens for the container any more, whose VM may go on for others. */
void host_sockets_end(struct host_sockets *sockets);

#endif
