/* SPDX-License-Identifier: Apache-2.0 */
/* The spec's linux.resources, as limits of a cgroup. */
#ifndef LIB_CGROUP_LIMITS_H
#define LIB_CGROUP_LIMITS_H

#include <jansson.h>

#include "lib/cgroup.h"

/* Which controllers' limits to apply: a VM has two sides, and not every limit makes sense on both. */
enum {
	CGROUP_CPU = 1 << 0,
	CGROUP_CPUSET = 1 << 1,
	CGROUP_MEMORY = 1 << 2,
	CGROUP_PIDS = 1 << 3,
	CGROUP_IO = 1 << 4,
	CGROUP_HUGETLB = 1 << 5,
	CGROUP_OTHER = 1 << 6,
};

/*
 * Applies what resources (may be NULL) has for these controllers. The error names the field. linux.resources.devices is
 * a BPF program, not a file: agent/device_filter.c.
 */
int cgroup_apply(const struct cgroup *cgroup, const json_t *resources, unsigned int controllers, struct err *err) must_check;

/* cpu.weight for v1's cpu.shares. */
uint64_t cgroup_cpu_weight(int64_t shares);

#endif
