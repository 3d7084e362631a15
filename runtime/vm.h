/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a VMM. */
#ifndef RUNTIME_VM_H
#define RUNTIME_VM_H

#include <jansson.h>

#include "lib/err.h"
#include "runtime/disks.h"
#include "runtime/host_cgroup.h"
#include "runtime/settings.h"
#include "runtime/share.h"
#include "runtime/state.h"

#define VM_IDENTITY_MAX 6144

#define VM_MEMORY_MIN_MIB 96 /* kernel, agent and a little air */

/* What a VM has when it starts. */
struct vm_size {
	unsigned int memory_mib, vcpus;
};

/* For a config's linux.resources, which may be NULL. */
struct vm_size vm_choose_size(const struct settings *settings, const json_t *resources);

struct vm_start {
	const struct runtime *runtime;
	const struct settings *settings;
	const struct state *state; /* its directory holds vm/ and vmm.log */
	const json_t *config;	   /* sizes; NULL: those of the settings */
	/* NULL, all of them, for a guest that is to become a template. */
	const struct share_list *shares;
	const struct network *network;
	const struct disk_list *disks;
	struct host_cgroup *cgroup; /* is made, for the VMM to be in from its first page on */
	/* Only for such a guest: the empty file that it is saved in, and what it was made from (VM_IDENTITY_MAX bytes). */
	int snapshot;
	char *identity;
};

struct vm_process {
	pid_t pid;
	int owner; /* owned: the VM lives as long as somebody holds it */
	int ready; /* owned: listening socket that the agent connects to */
};

/*
 * Starts a jailed VMM, a child of the calling process, and returns at once: the guest boots meanwhile, or goes on from where
 * its template was saved.
 */
int vm_start(const struct vm_start *start, struct vm_process *vm, struct err *err) must_check;

/* The guest's memory for a config's linux.resources when it starts: all of it where there is a limit. */
unsigned int vm_memory_mib(const struct settings *settings, const json_t *resources);

/* How much more a VM that starts with so much may get. */
unsigned int vm_growth_mib(const struct settings *settings, unsigned int memory_mib);

/* The last lines of vmm.log, for an error message; empty if there is none. */
void vm_last_log(const char *directory, char *out, size_t size);

#endif
