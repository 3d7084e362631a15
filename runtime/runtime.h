/* SPDX-License-Identifier: Apache-2.0 */
/* What every command gets: the global options, and where things are. */
#ifndef RUNTIME_RUNTIME_H
#define RUNTIME_RUNTIME_H

#include <stdbool.h>

#include "lib/err.h"

#define RUNTIME_OCI_VERSION "1.1.0"

struct runtime {
	const char *root; /* state directory */
	const char *log_path, *log_format;
	const char *config_path; /* cella.conf */
	bool debug, systemd_cgroup, show_help, show_version;
	const char *cgroup_manager; /* "": cgroupfs, or systemd with systemd_cgroup */
	const char *rootless, *criu, *log_level; /* accepted */
};

/* A command: argv[0] is its name. Returns the process's exit status; reports its own errors through fail(). */
typedef int command_main(struct runtime *runtime, int argc, char **argv);

/* Logs the error; returns the exit status for it. */
int runtime_fail(const struct err *err, int status);

command_main cmd_create, cmd_start, cmd_run, cmd_state, cmd_kill, cmd_delete, cmd_exec, cmd_ps, cmd_list, cmd_pause, cmd_update, cmd_events,
	cmd_resume, cmd_spec, cmd_features, cmd_check, cmd_template;

#endif
