/* SPDX-License-Identifier: Apache-2.0 */
/* What a container uses, as the guest's kernel counts it. */
#ifndef AGENT_STATS_H
#define AGENT_STATS_H

#include "agent/proto/agent.pb-c.h"
#include "lib/cgroup.h"

struct stats;

/* network: network_namespace.h. Fills response, which borrows from the result, until stats_free. NULL without memory. */
struct stats *stats_collect(const struct cgroup *cgroup, int network, Cella__Agent__StatsResponse *response, struct err *err);
void stats_free(struct stats *stats);

#endif
