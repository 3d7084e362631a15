/* SPDX-License-Identifier: Apache-2.0 */
/* The routes that the host has given the guest's interfaces. */
#ifndef AGENT_ROUTES_H
#define AGENT_ROUTES_H

#include "agent/proto/agent.pb-c.h"
#include "lib/err.h"

/*
 * Adds network's routes and takes away those of an earlier call that go to the same places through other gateways. fd: an
 * rtnetlink socket of the network namespace that the caller is in, where the interfaces are. 0 or -errno.
 */
int routes_set_up(int fd, const Cella__Agent__Network *network, struct err *err) must_check;

#endif
