/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that comes when it is needed. All containers are in one cgroup, whose memory.high lies a little below what the
 * guest has: who needs more is slowed down there, and the kernel says so. Then the host is told, through the answer to
 * its WaitMemory call; it gives the VM more, and calls again. Until all of it has come, the kernel counts what is still to
 * come as free memory (guest-kernel/patches/only-*-memory-growth.patch), so that programs can plan with it.
 */
#ifndef AGENT_GROWTH_H
#define AGENT_GROWTH_H

#include "lib/cgroup.h"
#include "lib/err.h"
#include "lib/loop.h"
#include "lib/ttrpc.h"

/* The parent of all containers' cgroups. */
#define GROWTH_CGROUP CGROUP_ROOT "/pod"

struct growth;

struct growth *growth_new(struct loop *loop, struct err *err);

/* What can still come. Before the first container. */
int growth_announce(struct growth *growth, uint32_t left_mib, struct err *err) must_check;

/*
 * Takes what has come (more_mib beyond what there was at boot) and waits for a need; the call is answered then. An
 * earlier call that is not answered yet is refused.
 */
int growth_wait(struct growth *growth, uint32_t more_mib, uint32_t left_mib, struct ttrpc *conn, uint32_t stream,
		struct err *err) must_check;

/* Limits have changed: the host may decide anew. */
void growth_limits_changed(struct growth *growth);

void growth_connection_ended(struct growth *growth, struct ttrpc *conn);

#endif
