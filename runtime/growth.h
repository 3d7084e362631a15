/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of memory that comes when it is needed (agent/growth.h): the stand-in of the container that a VM was
 * started for waits until the agent says that memory is short, and has the VMM give the VM more, up to what the
 * container's cgroup on the host allows.
 */
#ifndef RUNTIME_GROWTH_H
#define RUNTIME_GROWTH_H

#include "lib/cgroup.h"
#include "lib/err.h"
#include "lib/ttrpc.h"

struct growth {
	struct ttrpc *agent; /* borrowed */
	int control;	     /* the VMM's socket (vm_control.h); borrowed */
	int cgroup;	     /* its directory, owned; -1: there is none */
	unsigned int boot_mib, now_mib, max_mib;
};

/*
 * Opens what is needed, for a process that will have another root by then. cgroup path empty: there is none. growth_mib
 * is what the VMM was started with.
 */
int growth_prepare(struct growth *growth, int control, const struct cgroup *cgroup, unsigned int memory_mib,
		   unsigned int growth_mib, struct err *err) must_check;

/* What the VM may get as things are now, beyond what it has. MiB. */
unsigned int growth_left_mib(const struct growth *growth);

/* Calls the agent, and does what its answers ask for, from the loop of its connection. Once there is a container. */
int growth_start(struct growth *growth, struct ttrpc *agent, struct err *err) must_check;

#endif
