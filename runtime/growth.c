/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that comes when it is needed: the host's side. */
#include "runtime/growth.h"

#include "agent/proto/agent.pb-c.h"
#include "lib/log.h"
#include "runtime/agent_client.h"
#include "runtime/host_cgroup.h"
#include "runtime/vm_control.h"

#define BLOCK_MIB 128 /* what a guest adds at once */

int growth_prepare(struct growth *growth, int control, const struct cgroup *cgroup, unsigned int memory_mib,
		   unsigned int growth_mib, struct err *err)
{
	*growth = (struct growth){
		.control = control,
		.cgroup = -1,
		.boot_mib = memory_mib,
		.now_mib = memory_mib,
		.max_mib = memory_mib + growth_mib,
	};
	if (growth_mib == 0 || !*cgroup->path)
		return 0;
	growth->cgroup = cgroup_open(cgroup, err);
	return growth->cgroup < 0 ? -err->code : 0;
}

unsigned int growth_left_mib(const struct growth *growth)
{
	unsigned int allowed = host_cgroup_allowed_mib(growth->cgroup);

	if (allowed > growth->max_mib)
		allowed = growth->max_mib;
	return allowed > growth->now_mib ? allowed - growth->now_mib : 0;
}

/* Twice as much as there is, in whole blocks unless less is left. */
static unsigned int next_mib(const struct growth *growth)
{
	unsigned int left = growth_left_mib(growth), more = (growth->now_mib + BLOCK_MIB - 1) / BLOCK_MIB * BLOCK_MIB;

	/* The guest has huge pages of it. */
	return growth->now_mib + ((more < left ? more : left) & ~1U);
}

static void grow(struct growth *growth)
{
	unsigned int next = next_mib(growth);
	struct err err;

	if (next == growth->now_mib)
		return;
	if (vm_control_set_memory(growth->control, next, &err) < 0) {
		/* What it has is what it will have: the agent hears of it with the next call. */
		log_warn("%s", err.msg);
		growth->max_mib = growth->now_mib;
		return;
	}
	growth->now_mib = next;
}

static int wait_for_need(struct growth *growth, struct err *err);

static void need_arrived(void *ctx, const struct err *failure, const uint8_t *payload, size_t len)
{
	struct growth *growth = ctx;
	struct err err;

	(void)payload;
	(void)len;
	if (failure) {
		log_debug("%s", failure->msg);
		return;
	}
	grow(growth);
	if (wait_for_need(growth, &err) < 0)
		log_debug("%s", err.msg);
}

static int wait_for_need(struct growth *growth, struct err *err)
{
	Cella__Agent__WaitMemoryRequest request = CELLA__AGENT__WAIT_MEMORY_REQUEST__INIT;

	request.more_mib = growth->now_mib - growth->boot_mib;
	request.left_mib = growth_left_mib(growth);
	return ttrpc_call(growth->agent, AGENT_SERVICE, "WaitMemory", &request.base, need_arrived, growth, err);
}

int growth_start(struct growth *growth, struct ttrpc *agent, struct err *err)
{
	growth->agent = agent;
	return growth->max_mib > growth->boot_mib ? wait_for_need(growth, err) : 0;
}
