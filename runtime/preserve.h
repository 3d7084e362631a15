/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --preserve-fds and LISTEN_FDS: descriptors from 3 on go to the container's process. They cannot cross into a VM
 * themselves: their bytes do, through the stand-in (agent/preserved.h has the guest's side).
 */
#ifndef RUNTIME_PRESERVE_H
#define RUNTIME_PRESERVE_H

#include "agent/proto/agent.pb-c.h"
#include "lib/err.h"
#include "lib/loop.h"
#include "lib/relay.h"
#include "runtime/standin.h"

/*
 * Creator: looks at as many descriptors as the option says and $LISTEN_FDS adds, and refuses those whose bytes are not the
 * whole of them. Those that nobody has opened are left out, as crun does.
 */
int preserve_inspect(struct preserved_fds *preserved, long option, struct err *err) must_check;

/* Creator: how many $LISTEN_FDS adds (sd_listen_fds(3)); 0 without it. */
long preserve_listen_fds(void);

/* The request's part. messages and list are the caller's, with room for preserved->n, and have to live as long. */
void preserve_fill(Cella__Agent__Stdio *stdio, const struct preserved_fds *preserved, Cella__Agent__Preserved *messages,
		   Cella__Agent__Preserved **list);

/* Stand-in: the descriptors that are joined with the guest's. */
struct preserve {
	struct preserve_fd {
		struct preserve *preserve;
		struct relay *relay; /* NULL: none, or done; THERE is to the guest */
	} fds[PRESERVED_MAX];
	size_t open; /* relays that are not done */
	void (*done)(void *ctx); /* one is */
	void *ctx;
};

/* Connects all; the process's own originals are closed. */
int preserve_connect(struct preserve *preserve, const struct standin_job *job, struct loop *loop, void (*done)(void *ctx),
		     void *ctx, struct err *err) must_check;

/* The guest's process has ended: nothing goes there any more, what it wrote still comes. */
void preserve_finish(struct preserve *preserve);

#endif
