/* SPDX-License-Identifier: Apache-2.0 */
/* A container's cgroup (v2) in the guest and its limits. */
#ifndef AGENT_CGROUP_H
#define AGENT_CGROUP_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "lib/err.h"

struct cgroup {
	char path[PATH_MAX]; /* below GUEST_CGROUP, no leading slash */
};

/*
 * Makes the cgroup that the spec's linux.cgroupsPath names ("" and NULL: one named after the container), with every
 * controller delegated on the way. cgroups_path may be systemd's slice:prefix:name.
 */
int cgroup_create(struct cgroup *cgroup, const char *cgroups_path, const char *id, struct err *err) must_check;

/* Applies the spec's linux.resources (devices are devices.c's). resources may be NULL. */
int cgroup_apply(const struct cgroup *cgroup, const json_t *resources, struct err *err) must_check;

int cgroup_add_process(const struct cgroup *cgroup, pid_t pid, struct err *err) must_check;

/* SIGKILL for everything in it. */
int cgroup_kill(const struct cgroup *cgroup, struct err *err) must_check;

/* Freezes or thaws, and waits (at most 10 s) until it is so. */
int cgroup_freeze(const struct cgroup *cgroup, bool frozen, struct err *err) must_check;

/* The directory, O_RDONLY. */
int cgroup_open(const struct cgroup *cgroup, struct err *err) must_check;

/* Whether the kernel has killed a process of it for want of memory. */
bool cgroup_was_oom_killed(const struct cgroup *cgroup);

/* An array of the pids in it and below (new, json_decref it), or NULL. */
json_t *cgroup_processes(const struct cgroup *cgroup, struct err *err);

/* Removes it and what was made below it. */
int cgroup_remove(const struct cgroup *cgroup, struct err *err) must_check;

#endif
