/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors from 3 on that whoever started a process has given it (runc's --preserve-fds, LISTEN_FDS's place): pipes
 * and sockets in the guest whose other ends are connections to the host (agent/proto/agent.proto, Preserved).
 */
#ifndef AGENT_PRESERVED_H
#define AGENT_PRESERVED_H

#include <stddef.h>

#include "agent/proto/agent.pb-c.h"
#include "lib/err.h"
#include "lib/loop.h"
#include "lib/relay.h"

struct preserved_fd {
	enum relay_direction directions; /* 0: there is none of this number */
	int child; /* the process's end, owned until preserved_close_child_ends, -1 if none */
	int ours;  /* owned until its connection comes, then -1 */
	struct relay *relay; /* THERE is from the process to the host */
};

struct preserved {
	struct loop *loop;
	struct preserved_fd *fds; /* owned */
	size_t n;
};

/* Makes both ends of all. On failure what was made is left for preserved_free. stdio may be NULL. */
int preserved_create(struct preserved *preserved, struct loop *loop, const Cella__Agent__Stdio *stdio, struct err *err) must_check;

/* In the parent, once the child has them. */
void preserved_close_child_ends(struct preserved *preserved);

/* In the child: puts every one at its number, without close-on-exec. Descriptors there are overwritten. */
int preserved_place(const struct preserved *preserved, struct err *err) must_check;

/* The connection of descriptor 3 + index; fd is taken. */
void preserved_attach(struct preserved *preserved, size_t index, int fd);

/* The process has ended: what it has written is sent on. */
void preserved_finish(struct preserved *preserved);

void preserved_free(struct preserved *preserved);

#endif
