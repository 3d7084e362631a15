/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's network: the links, addresses, routes and neighbours that the host's namespace has. */
#ifndef AGENT_NETWORK_H
#define AGENT_NETWORK_H

#include "agent/proto/agent.pb-c.h"
#include "lib/err.h"

/*
 * Sets network up in namespace (network_namespace.h), into which the devices are moved from the guest's. network NULL:
 * nothing to do.
 */
int network_set_up(const Cella__Agent__Network *network, int namespace, struct err *err) must_check;

/* Lets the device with this address go: the host is about to take it away. That there is none is no error. */
int network_remove(const ProtobufCBinaryData *mac, int namespace, struct err *err) must_check;

/* Lets all of the host's devices in the namespace of a container go. */
int network_remove_all(int namespace, struct err *err) must_check;

/*
 * For a container with a user namespace of its own: the network is not that one's, so its root has no power over it. But
 * the guest is the pod's alone: low ports and pings become free for all.
 */
int network_open_to_all(int namespace, struct err *err) must_check;

#endif
