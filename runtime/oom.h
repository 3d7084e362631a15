/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telling engines that a container ran out of memory. They look at the host: docker and containerd at the events of the
 * container's cgroup, podman and CRI-O at a file named oom in the bundle, which conmon makes of the same events. But the
 * guest ran out of its own memory, and the host's cgroup has seen nothing of it.
 */
#ifndef RUNTIME_OOM_H
#define RUNTIME_OOM_H

#include "lib/cgroup.h"
#include "lib/err.h"

/* Descriptors, owned, for a process that will have another root by then. -1: there is none. */
struct oom {
	int bundle, cgroup, proc; /* directories */
	int memory_max;		  /* the cgroup's file, opened where writing it is allowed; borrowed */
};

/* cgroup path empty: there is none. */
int oom_prepare(struct oom *oom, const char *bundle, const struct cgroup *cgroup, int memory_max, struct err *err) must_check;

/*
 * Makes the file, and an OOM kill in the cgroup: a child of ours, which wants more than is left, is what the kernel
 * kills. Takes some milliseconds. For a container that has just ended: its VM may be held up.
 */
int oom_tell_host(const struct oom *oom, struct err *err) must_check;

#endif
