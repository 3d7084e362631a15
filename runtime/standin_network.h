/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a stand-in does for a network of its VM, if that is its container's: it follows links, names, and published ports.
 * Part of the stand-in's one thread.
 */
#ifndef RUNTIME_STANDIN_NETWORK_H
#define RUNTIME_STANDIN_NETWORK_H

#include "lib/err.h"
#include "lib/loop.h"
#include "lib/ttrpc.h"
#include "runtime/forward.h"
#include "runtime/names.h"
#include "runtime/network_follow.h"
#include "runtime/standin.h"

/* Lives as long as the stand-in. All zero before. */
struct standin_network {
	struct network_follow follow;
	struct names names;
	struct forward forward;
};

/* Begins to follow, once the container is there. control: the VMM's socket, borrowed as all others. */
int standin_network_start(struct standin_network *network, const struct standin_job *job, int control, struct loop *loop,
			  struct ttrpc *agent, struct err *err) must_check;

/* Removes what a stand-in that has ended leaves behind in the VM's directory. network: the number (state.h). */
void standin_network_clean_up(const char *vm_dir, unsigned int network);

#endif
