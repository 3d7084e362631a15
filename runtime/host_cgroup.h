/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's cgroup on the host. The VMM and the stand-ins are in it: what the VM uses is accounted and limited there,
 * whatever the guest does. The limits of the container itself (memory, pids) hold in the guest; the host's are those of a
 * machine that can hold them.
 */
#ifndef RUNTIME_HOST_CGROUP_H
#define RUNTIME_HOST_CGROUP_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "lib/cgroup.h"
#include "lib/err.h"
#include "runtime/runtime.h"
#include "runtime/systemd_scope.h"

struct host_cgroup {
	bool managed; /* false: --cgroup-manager=disabled; nothing below counts */
	bool created; /* ours to remove */
	char unit[SCOPE_NAME_MAX]; /* systemd's scope; empty: the cgroup was made by us */
	struct cgroup cgroup;
};

/* Whether the host has the one hierarchy of version 2 where it belongs. */
bool host_cgroup_is_v2(void);

/*
 * Makes the cgroup that config wants, with its limits, and puts the VMM (pid) into it. What is made is noted in dirfd
 * (cgroup.json) before it is made, so that a creator that is killed leaves nothing that delete does not find.
 * vm_memory_mib is the guest's memory.
 */
int host_cgroup_create(struct host_cgroup *host, const struct runtime *runtime, const json_t *config, const char *id,
		       int dirfd, pid_t vmm, unsigned int vm_memory_mib, struct err *err) must_check;

/* What was noted in a container's directory. A missing note means that there is no cgroup. */
int host_cgroup_load(struct host_cgroup *host, int dirfd, struct err *err) must_check;

/* New limits. resources has only what changes. */
int host_cgroup_update(const struct host_cgroup *host, const json_t *resources, unsigned int vm_memory_mib,
		       struct err *err) must_check;

/*
 * Its memory.max, for the stand-in: in its own cgroup namespace it could not open the file for writing (cgroups(7),
 * nsdelegate). -1 if there is none.
 */
int host_cgroup_open_memory_max(const struct host_cgroup *host);

/*
 * How much memory a VM may have whose cgroup (an open directory, -1: none) has this limit now: MiB, UINT32_MAX without
 * a limit.
 */
unsigned int host_cgroup_allowed_mib(int directory);

/* Call it when the processes are gone. */
int host_cgroup_remove(const struct host_cgroup *host, struct err *err) must_check;

#endif
