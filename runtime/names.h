/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Docker's name server of user-defined networks, the host's side (agent/names.h): it listens at 127.0.0.11 in the
 * container's network namespace, on a port that netfilter rules lead to, so the stand-in, which is in it, passes on what
 * comes from the guest. Nothing else of the namespace can be reached in this way.
 */
#ifndef RUNTIME_NAMES_H
#define RUNTIME_NAMES_H

#include <stdbool.h>

#include "lib/err.h"
#include "lib/loop.h"

struct names {
	struct loop *loop; /* borrowed */
	int listener;	   /* owned */
	unsigned int n;	   /* connections */
};

/* Whether the namespace that the caller is in has such a server. proc_dir: an open /proc. */
bool names_are_served(int proc_dir);

/* Listens for the guest, in the VM's directory. network: its number (state.h). */
int names_prepare(struct names *names, const char *vm_dir, unsigned int network, struct err *err) must_check;
int names_start(struct names *names, struct loop *loop, struct err *err) must_check;

#endif
