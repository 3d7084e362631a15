/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections that are made within the container's network namespace to its own addresses, loopback included: rootless
 * engines forward published ports in this way (rootlesskit, pasta). They never leave the host's network stack, so no
 * frame reaches the guest. netfilter leads them to the stand-in, which asks the agent to connect (agent/forward.h), and
 * joins the two.
 */
#ifndef RUNTIME_FORWARD_H
#define RUNTIME_FORWARD_H

#include <stdint.h>

#include "lib/err.h"
#include "lib/loop.h"
#include "lib/ttrpc.h"
#include "runtime/standin.h"

struct forward_client;

struct forward {
	struct loop *loop;   /* borrowed */
	struct ttrpc *agent; /* borrowed */
	int clients[2];	     /* listening, IPv4 and IPv6, owned; -1: there is no IPv6 */
	int guest;	     /* listening, owned */
	struct forward_client *waiting;
	const char *container; /* whose network it is (network_sync.h); borrowed */
	uint64_t number; /* of the last one */
	unsigned int n;	 /* waiting and joined */
};

/* In the namespace, before the process's root changes. job is borrowed. */
int forward_prepare(struct forward *forward, const struct standin_job *job, struct err *err) must_check;
int forward_start(struct forward *forward, struct loop *loop, struct ttrpc *agent, struct err *err) must_check;

#endif
