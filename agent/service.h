/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's calls (agent/proto/agent.proto): one handler each, in a table. */
#ifndef AGENT_SERVICE_H
#define AGENT_SERVICE_H

#include "agent/container.h"
#include "agent/growth.h"
#include "agent/names.h"
#include "lib/ttrpc.h"

#define SERVICE_NAME "cella.agent.Agent"

struct service {
	struct loop *loop;	       /* borrowed */
	struct containers *containers; /* borrowed */
	struct growth *growth;	       /* borrowed */
	struct names *names;	       /* borrowed */
	bool share_mounted;
};

/* For ttrpc_new, with a struct service as ctx. */
extern const struct ttrpc_ops service_ops;

#endif
