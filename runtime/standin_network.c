/* SPDX-License-Identifier: Apache-2.0 */
/* A stand-in whose network namespace is one of the VM's. */
#include "runtime/standin_network.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/ports.h"
#include "lib/log.h"

/* Not all hosts have the netfilter that it needs; without it all else works. */
static void forward_ports(struct standin_network *network, const struct standin_job *job, struct loop *loop,
			  struct ttrpc *agent)
{
	struct err err;

	if (forward_prepare(&network->forward, job, &err) < 0 ||
	    forward_start(&network->forward, loop, agent, &err) < 0)
		log_warn("ports that are published over the loopback interface cannot be reached: %s", err.msg);
}

int standin_network_start(struct standin_network *network, const struct standin_job *job, int control, struct loop *loop,
			  struct ttrpc *agent, struct err *err)
{
	if (job->forward_ports)
		forward_ports(network, job, loop, agent);
	if (network_follow_prepare(&network->follow, control, job, err) < 0 ||
	    names_prepare(&network->names, job->vm_dir, job->network, err) < 0 ||
	    names_start(&network->names, loop, err) < 0)
		return -err->code;
	return network_follow_start(&network->follow, loop, agent, err);
}

/* One that is not there is as good. */
static void remove_socket(const char *vm_dir, unsigned int port)
{
	char path[PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s/vsock_%u", vm_dir, port);
	unlink(path);
}

void standin_network_clean_up(const char *vm_dir, unsigned int network)
{
	remove_socket(vm_dir, PORT_OF_NETWORK(PORT_NAMES, network));
	remove_socket(vm_dir, PORT_OF_NETWORK(PORT_FORWARD, network));
}
