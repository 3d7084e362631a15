/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stand-in's watch on its network namespace: what an engine changes there while the VM runs is changed in the VM
 * (network_sync.h). rtnetlink tells that something happened; a moment later, when all of it has, everything is looked at.
 */
#ifndef RUNTIME_NETWORK_FOLLOW_H
#define RUNTIME_NETWORK_FOLLOW_H

#include <stdbool.h>

#include "lib/err.h"
#include "lib/loop.h"
#include "lib/ttrpc.h"
#include "runtime/network_sync.h"
#include "runtime/standin.h"

struct network_known {
	int index; /* of a link */
	uint64_t hash; /* of what the guest was told of it */
};

struct network_follow {
	struct loop *loop;   /* borrowed */
	struct ttrpc *agent; /* borrowed */
	struct network_guest guest;
	int events, requests; /* rtnetlink sockets, owned, as the next two */
	int timer, lock;
	struct network_known known[NETWORK_LINKS_MAX];
	size_t nknown;
	bool changed;	    /* since the last look */
	bool busy;	    /* looking: calls to the agent let other events in */
	bool told_of_names; /* the guest knows of the name server (names.h) */
	unsigned int rechecks; /* for one, that are left */
};

/* For a process that is in the namespace and will have another root later. control: the VMM's socket, borrowed, as job. */
int network_follow_prepare(struct network_follow *follow, int control, const struct standin_job *job, struct err *err) must_check;

/* Once the guest has its network. */
int network_follow_start(struct network_follow *follow, struct loop *loop, struct ttrpc *agent, struct err *err) must_check;

#endif
