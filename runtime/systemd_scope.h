/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transient scopes of systemd (systemd.scope(5), org.freedesktop.systemd1(5)): with --systemd-cgroup it is systemd that
 * makes the cgroup. busctl(1), which comes with systemd, speaks D-Bus for us.
 */
#ifndef RUNTIME_SYSTEMD_SCOPE_H
#define RUNTIME_SYSTEMD_SCOPE_H

#include <jansson.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/cgroup.h"
#include "lib/err.h"

#define SCOPE_NAME_MAX 256

/* The unit that cgroups_path ("slice:prefix:name"; empty: one named after the container) stands for. */
int scope_name(char unit[SCOPE_NAME_MAX], const char *cgroups_path, const char *id, struct err *err) must_check;

/* Starts it with pid in it and waits until the process is there; cgroup becomes the scope's. */
int scope_start(const char *unit, const char *cgroups_path, const json_t *resources, pid_t pid, struct cgroup *cgroup,
		struct err *err) must_check;

/* Tells systemd new limits, so that it does not put the old ones back when it reloads. */
int scope_update(const char *unit, const json_t *resources, struct err *err) must_check;

/* Ends it. One that is gone is no error. */
int scope_stop(const char *unit, struct err *err) must_check;

#endif
