/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the stand-in of a VM's first container does for the VM: it takes the agent's connection, and gives it memory when
 * its containers need more. Part of the stand-in's one thread.
 */
#ifndef RUNTIME_VM_OWNER_H
#define RUNTIME_VM_OWNER_H

#include "lib/err.h"
#include "lib/loop.h"
#include "lib/ttrpc.h"
#include "runtime/growth.h"
#include "runtime/standin.h"

/* Lives as long as the stand-in. All zero before vm_owner_set_up. */
struct vm_owner {
	int control; /* the VMM's control socket, owned */
	struct growth growth;
};

/* The agent's connection, or -errno with why it does not come: EIO, the VM ended; ETIMEDOUT. */
int vm_owner_accept_agent(const struct standin_job *job, struct err *err) must_check;

/* The guest's clock, entropy and shared directory, before its first container. */
int vm_owner_set_up(struct vm_owner *owner, const struct standin_job *job, struct loop *loop, struct ttrpc *agent,
		    struct err *err) must_check;

/* Begins, once the container is there. */
int vm_owner_start(struct vm_owner *owner, struct ttrpc *agent, struct err *err) must_check;

#endif
