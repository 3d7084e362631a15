/* SPDX-License-Identifier: Apache-2.0 */
/* Containers: their configuration, cgroup and processes. */
#ifndef AGENT_CONTAINER_H
#define AGENT_CONTAINER_H

#include "lib/cgroup.h"
#include "agent/process.h"
#include "agent/proto/agent.pb-c.h"
#include "lib/err.h"
#include "lib/loop.h"

#define NETWORK_TYPE "network" /* of a shared namespace (agent.proto) */

struct containers;

struct containers *containers_new(struct loop *loop, struct err *err);

struct container *container_find(struct containers *containers, const char *id);
const json_t *container_config(const struct container *container); /* its config.json; borrowed */
const struct cgroup *container_cgroup(const struct container *container);
int container_network(const struct container *container); /* network_namespace.h; borrowed */
unsigned int container_network_number(const struct container *container); /* agent.proto; 0: the guest's own */

/* Serves names in the container's network, which is not the guest's (names.h). */
int container_serve_names(struct container *container, struct err *err) must_check;

/* exec_id NULL or empty: the first process. NULL if there is none. */
struct process *container_process(struct container *container, const char *exec_id);

/* Creates the container and its first process; the call is answered when it is set up. */
int container_create(struct containers *containers, const Cella__Agent__CreateContainerRequest *request,
		     struct ttrpc *conn, uint32_t stream, struct err *err) must_check;

/* Creates a further process; the call is answered when it has been exec'd. */
int container_exec(struct container *container, const Cella__Agent__ExecProcessRequest *request, struct ttrpc *conn,
		   uint32_t stream, struct err *err) must_check;

/* New limits: resources is linux.resources as JSON. */
int container_update(struct container *container, const uint8_t *resources, size_t len, struct err *err) must_check;

/* EBUSY while there is a process of it. */
int container_delete(struct containers *containers, struct container *container, struct err *err) must_check;

int container_kill_all(struct container *container, int sig, struct err *err) must_check;

/*
 * By which sockets of the host's leave the container that a process is in: of any other if that cannot be told any more, as it has
 * ended. NULL: there is no container. Borrowed.
 */
struct host_sockets *containers_way_out(struct containers *containers, pid_t pid);

/* The process that this stdio token was made for, or NULL. */
struct process *containers_find_token(struct containers *containers, const char *token);

/* A child was reaped. */
void containers_reaped(struct containers *containers, pid_t pid, int wait_status);

/* Processes that belong to the connection die; calls of it are forgotten. */
void containers_connection_ended(struct containers *containers, struct ttrpc *conn);

#endif
