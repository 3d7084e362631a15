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

/*
 * Makes the file, and an OOM kill in the cgroup whose memory.max this is (-1: there is none): a child of ours, which wants more than is
 * left, is what the kernel kills. Takes some milliseconds. For a container that has just ended: its VM may be held up.
 */
int oom_tell_host(const char *bundle, const struct cgroup *cgroup, int memory_max, struct err *err) must_check;

#endif
