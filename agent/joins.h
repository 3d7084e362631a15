/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces that a container of a pod shares with others of it. */
#ifndef AGENT_JOINS_H
#define AGENT_JOINS_H

#include <jansson.h>

#include "agent/container.h"
#include "agent/spawn.h"

/*
 * Fills spawn->joins with the processes whose namespaces the request names (pid, ipc, uts; a network is chosen elsewhere), and
 * with a user namespace where config.json joins one; config then has the maps of that one. EINVAL: one that cannot be shared,
 * or too many; ESRCH: a container that does not run; ENOTSUP: a user namespace of its own beside joined ones, or one that none of
 * the others' containers has.
 */
int joins_find(struct spawn *spawn, json_t *config, struct containers *containers,
	       const Cella__Agent__CreateContainerRequest *request, struct err *err) must_check;

#endif
