/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections from outside of the guest to sockets that its processes have bound in shared directories (vmm/visitors.h): each is
 * joined with one to that socket, made as the user and the groups that the visitor has on the host: who asks for SO_PEERCRED sees
 * them.
 */
#ifndef AGENT_VISITORS_H
#define AGENT_VISITORS_H

#include "lib/err.h"
#include "lib/loop.h"

struct visitors {
	struct loop *loop; /* borrowed */
	unsigned int n; /* that are here */
};

/* Joins one of the host's connections to PORT_VISITORS. fd is owned in every case. visitors stays. */
void visitors_join(struct visitors *visitors, int fd);

#endif
