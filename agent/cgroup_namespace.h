/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cgroup namespace of containers that have none of their own (`--cgroupns=host`). On a host they would see the host's
 * hierarchy; here they see the pod's, whose root is the cgroup that all containers of the guest are below. The agent is a
 * single thread: it goes in for a moment and comes back.
 */
#ifndef AGENT_CGROUP_NAMESPACE_H
#define AGENT_CGROUP_NAMESPACE_H

#include "lib/err.h"

/*
 * Makes it, with the cgroup of this descriptor as its root: once, while that has no cgroups below it (a cgroup that hands out
 * controllers takes no processes, cgroup-v2.rst, No Internal Process Constraint).
 */
int cgroup_namespace_new(int pod_cgroup, struct err *err) must_check;

/* 0 or -errno; then cgroup_namespace_leave is due. A child that is forked in between stays in it. */
int cgroup_namespace_enter(struct err *err) must_check;
void cgroup_namespace_leave(void);

#endif
