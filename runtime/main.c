/* SPDX-License-Identifier: Apache-2.0 */
/* cella: the OCI command line. Global options, then a command out of a table. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/log.h"
#include "runtime/options.h"
#include "runtime/rootless.h"
#include "runtime/runtime.h"
#include "runtime/standin.h"

static const struct option global_options[] = {
	{ "root", 0, OPTION_STRING, offsetof(struct runtime, root), "state directory (/run/cella, or below XDG_RUNTIME_DIR)" },
	{ "log", 0, OPTION_STRING, offsetof(struct runtime, log_path), "file for errors (standard error)" },
	{ "log-format", 0, OPTION_STRING, offsetof(struct runtime, log_format), "text or json" },
	{ "conf", 0, OPTION_STRING, offsetof(struct runtime, config_path), "configuration file (/etc/cella/cella.conf)" },
	{ "debug", 0, OPTION_FLAG, offsetof(struct runtime, debug), "log more" },
	{ "systemd-cgroup", 0, OPTION_FLAG, offsetof(struct runtime, systemd_cgroup), "cgroupsPath is slice:prefix:name" },
	{ "version", 'v', OPTION_FLAG, offsetof(struct runtime, show_version), "print the version" },
	{ "help", 'h', OPTION_FLAG, offsetof(struct runtime, show_help), "print this text" },
	{ "cgroup-manager", 0, OPTION_STRING, offsetof(struct runtime, cgroup_manager), "cgroupfs, systemd or disabled" },
	/* Engines send these; they have nothing to change here. */
	{ "rootless", 0, OPTION_STRING, offsetof(struct runtime, rootless), NULL },
	{ "criu", 0, OPTION_STRING, offsetof(struct runtime, criu), NULL },
	{ "log-level", 0, OPTION_STRING, offsetof(struct runtime, log_level), NULL },
};

static const struct {
	const char *name;
	command_main *run;
	const char *help;
} commands[] = {
	{ "create", cmd_create, "create a container: its VM runs, its process waits" },
	{ "start", cmd_start, "start the process of a created container" },
	{ "run", cmd_run, "create and start a container and wait for it" },
	{ "state", cmd_state, "print a container's state as JSON" },
	{ "kill", cmd_kill, "send a signal to a container" },
	{ "delete", cmd_delete, "remove a container" },
	{ "exec", cmd_exec, "run another process in a container" },
	{ "ps", cmd_ps, "list a container's processes" },
	{ "list", cmd_list, "list containers" },
	{ "update", cmd_update, "change the limits of a container" },
	{ "events", cmd_events, "print what a container uses, and when it runs out of memory" },
	{ "pause", cmd_pause, "freeze a container" },
	{ "resume", cmd_resume, "thaw a container" },
	{ "spec", cmd_spec, "write a config.json to start from" },
	{ "features", cmd_features, "print what this runtime supports as JSON" },
	{ "template", cmd_template, "boot a guest once, for VMs to start from" },
	{ "check", cmd_check, "tell whether this host can run containers, and if not, why" },
};

static void print_help(void)
{
	printf("Usage: cella [OPTION]... COMMAND [ARGUMENT]...\n"
	       "Runs OCI containers, each in a virtual machine of its own.\n\nCommands (COMMAND --help says more):\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %-10s %s\n", commands[i].name, commands[i].help);
	printf("\nOptions:\n");
	options_print(global_options, ARRAY_SIZE(global_options));
}

static int set_up_log(const struct runtime *runtime, struct err *err)
{
	enum log_format format = LOG_FORMAT_TEXT;

	if (!strcmp(runtime->log_format, "json"))
		format = LOG_FORMAT_JSON;
	else if (strcmp(runtime->log_format, "text"))
		return err_msg(err, EINVAL, "option --log-format: '%s' is neither text nor json", runtime->log_format);
	return log_init("cella", runtime->log_path, format, runtime->debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN, err);
}

static int run_command(struct runtime *runtime, int argc, char **argv)
{
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, argv[0]))
			return commands[i].run(runtime, argc, argv);
	err_msg(&err, EINVAL, "unknown command '%s'", argv[0]);
	return runtime_fail(&err, 1);
}

int main(int argc, char **argv)
{
	struct runtime runtime = { .log_format = "text", .config_path = "/etc/cella/cella.conf", .cgroup_manager = "" };
	struct err err;
	int first;

	if (io_fill_standard_fds() < 0)
		return 1;
	if (standin_requested())
		return standin_main(argc > 0 ? argv[0] : "");
	first = options_parse(global_options, ARRAY_SIZE(global_options), &runtime, argc, argv, &err);
	if (first < 0)
		return runtime_fail(&err, 1);
	if (runtime.show_help || (first == argc && !runtime.show_version)) {
		print_help();
		return runtime.show_help ? 0 : 1;
	}
	if (runtime.show_version) {
		printf("cella version %s\ncommit: %s\nspec: %s\n", CELLA_VERSION, CELLA_VERSION, RUNTIME_OCI_VERSION);
		return 0;
	}
	if (!runtime.root)
		runtime.root = runtime_default_root();
	if (set_up_log(&runtime, &err) < 0)
		return runtime_fail(&err, 1);
	return run_command(&runtime, argc - first, argv + first);
}
