/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's way to sockets of the host. What connects to one is led to the stand-in (runtime/host_sockets.h), which connects on
 * the host. One that takes datagrams and is bound into the container (-v /dev/log:/dev/log) is a socket of the agent's in the guest
 * (agent/host_datagrams.h). Bytes and datagrams travel, descriptors do not.
 */
#ifndef AGENT_HOST_SOCKETS_H
#define AGENT_HOST_SOCKETS_H

#include "agent/proto/agent.pb-c.h"
#include "lib/err.h"
#include "lib/loop.h"
#include "lib/socket_greeting.h"

#define HOST_SOCKETS_DIRECTORY "/run/host-sockets" /* a path there always fits an address */
#define HOST_SOCKET_PATH_MAX 64

struct host_sockets;

/* Of one container. port: where its stand-in listens. NULL on error. */
struct host_sockets *host_sockets_new(struct loop *loop, unsigned int port, struct err *err);

/* Takes datagrams for mounts[index]. path gets the socket's, in the agent's view; mode and owner are those of the host's socket. */
int host_sockets_add(struct host_sockets *sockets, unsigned int index, const Cella__Agent__HostSocket *of,
		     char path[HOST_SOCKET_PATH_MAX], struct err *err) must_check;

/*
 * Leads a connection of a process in the guest to the socket that greeting names, which gets whose it is. client is owned in every
 * case.
 */
void host_sockets_lead(struct host_sockets *sockets, int client, struct socket_greeting *greeting);

/*
 * The container has ended: the datagrams that were sent until then are on the way to the host before anything that is said there
 * after this call. May be NULL.
 */
void host_sockets_finish(struct host_sockets *sockets);

/* Connections that are made stay. May be NULL. */
void host_sockets_free(struct host_sockets *sockets);

#endif
