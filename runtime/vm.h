/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a VMM. */
#ifndef RUNTIME_VM_H
#define RUNTIME_VM_H

#include <jansson.h>

#include "lib/err.h"
#include "runtime/settings.h"
#include "runtime/share.h"
#include "runtime/state.h"

struct vm_start {
	const struct settings *settings;
	const char *root;	   /* the state root, for what is remembered of the guest image */
	const struct state *state; /* its directory holds vm/ and vmm.log */
	const json_t *config;	   /* sizes */
	const struct share_list *shares;
	const struct network *network;
};

struct vm_process {
	pid_t pid;
	int owner; /* owned: the VM lives as long as somebody holds it */
	int ready; /* owned: listening socket that the agent connects to */
};

/*
 * Starts a jailed VMM, a child of the calling process, and returns at once: the guest boots meanwhile.
 */
int vm_start(const struct vm_start *start, struct vm_process *vm, struct err *err) must_check;

/* The last lines of vmm.log, for an error message; empty if there is none. */
void vm_last_log(const char *directory, char *out, size_t size);

#endif
