/* SPDX-License-Identifier: Apache-2.0 */
/* A cgroup (v2). The agent makes one for each container in the guest, the runtime one on the host. */
#ifndef LIB_CGROUP_H
#define LIB_CGROUP_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"

#define CGROUP_ROOT "/sys/fs/cgroup"

struct cgroup {
	char path[PATH_MAX]; /* absolute, below CGROUP_ROOT */
};

/*
 * The cgroup that the spec's linux.cgroupsPath means ("" and NULL: one named after the container). It may be systemd's
 * slice:prefix:name. A path that leads out of CGROUP_ROOT is refused.
 */
int cgroup_name(struct cgroup *cgroup, const char *cgroups_path, const char *id, struct err *err) must_check;

/* Whether the path has a component "..". */
bool cgroup_path_leads_up(const char *path);

/* Makes it, with every controller delegated on the way. *ret_created: it was not there before. */
int cgroup_create(const struct cgroup *cgroup, bool *ret_created, struct err *err) must_check;

/* The cgroup that a process is in. */
int cgroup_of_process(struct cgroup *cgroup, pid_t pid, struct err *err) must_check;

/* Writes one of its files. */
int cgroup_write(const struct cgroup *cgroup, const char *file, const char *value, struct err *err) must_check;

int cgroup_add_process(const struct cgroup *cgroup, pid_t pid, struct err *err) must_check;

/* SIGKILL for everything in it. */
int cgroup_kill(const struct cgroup *cgroup, struct err *err) must_check;

/* Freezes or thaws, and waits (at most 10 s) until it is so. */
int cgroup_freeze(const struct cgroup *cgroup, bool frozen, struct err *err) must_check;

/* The directory, O_RDONLY. */
int cgroup_open(const struct cgroup *cgroup, struct err *err) must_check;

/* The number after name in a file of "name number" lines, and the number that a file consists of; -1 if there is none. */
int64_t cgroup_counter(const struct cgroup *cgroup, const char *file, const char *name);
int64_t cgroup_number(const struct cgroup *cgroup, const char *file);

/* The whole of a file ("memory.stat"), owned by the caller, or NULL. */
char *cgroup_read(const struct cgroup *cgroup, const char *file);

/* An array of the pids in it and below (new, json_decref it), or NULL. */
json_t *cgroup_processes(const struct cgroup *cgroup, struct err *err);

/* Removes it and what was made below it. */
int cgroup_remove(const struct cgroup *cgroup, struct err *err) must_check;

#endif
