/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network namespaces in the guest. A pod's network is that of the guest itself; a container that is in the pod without
 * sharing it (`--pid container:X`, `--ipc container:X`) has one of its own. The agent is a single thread: it goes into one
 * for a moment and comes back.
 */
#ifndef AGENT_NETWORK_NAMESPACE_H
#define AGENT_NETWORK_NAMESPACE_H

#include "lib/err.h"

#define NETWORK_OF_GUEST (-1) /* in place of a descriptor: nothing to enter */

/* A new one, with its loopback interface up. A descriptor, the caller's, or -errno; the agent is not in it. */
int network_namespace_new(struct err *err) must_check;

/* 0 or -errno; then network_namespace_leave is due. A child that is forked in between stays in it. */
int network_namespace_enter(int network, struct err *err) must_check;
void network_namespace_leave(int network);

/* A descriptor of the guest's own, borrowed, or -errno. */
int network_namespace_of_guest(struct err *err) must_check;

#endif
