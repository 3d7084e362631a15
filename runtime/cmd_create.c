/* SPDX-License-Identifier: Apache-2.0 */
/* cella create, run and start. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/log.h"
#include "runtime/command.h"
#include "runtime/delete.h"
#include "runtime/launch.h"
#include "runtime/terminal.h"

#define CREATE_OPTIONS                                                                                                   \
	{ "bundle", 'b', OPTION_STRING, offsetof(struct launch_options, bundle), "bundle directory (.)" },                \
	{ "config", 'f', OPTION_STRING, offsetof(struct launch_options, config_file), "instead of config.json" },         \
	{ "pid-file", 0, OPTION_STRING, offsetof(struct launch_options, pid_file), "gets the pid of the stand-in" },       \
	{ "console-socket", 0, OPTION_STRING, offsetof(struct launch_options, console_socket),                           \
	  "unix socket that gets the terminal" },                                                                         \
	{ "pidfd-socket", 0, OPTION_STRING, offsetof(struct launch_options, pidfd_socket), NULL },                        \
	{ "preserve-fds", 0, OPTION_NUMBER, offsetof(struct launch_options, preserve_fds), NULL },                        \
	{ "no-pivot", 0, OPTION_FLAG, offsetof(struct launch_options, no_pivot), NULL },                                  \
	{ "no-new-keyring", 0, OPTION_FLAG, offsetof(struct launch_options, no_new_keyring), NULL }

static const struct option create_options[] = { CREATE_OPTIONS };

static const struct option run_options[] = {
	CREATE_OPTIONS,
	{ "detach", 'd', OPTION_FLAG, offsetof(struct launch_options, detach), "do not wait for the container" },
	{ "keep", 0, OPTION_FLAG, offsetof(struct launch_options, keep), "do not delete it when it ends" },
	{ "no-subreaper", 0, OPTION_FLAG, offsetof(struct launch_options, no_subreaper), NULL },
};

static const struct command create_command = { "create [OPTION]... ID", create_options, ARRAY_SIZE(create_options), 1, 1 };
static const struct command run_command = { "run [OPTION]... ID", run_options, ARRAY_SIZE(run_options), 1, 1 };
static const struct command start_command = { "start ID", NULL, 0, 1, 1 };

int cmd_create(struct runtime *runtime, int argc, char **argv)
{
	struct launch_options options = { 0 };
	struct launched launched;
	struct err err;
	int first = command_parse(&create_command, &options, argc, argv, &err);

	if (first == COMMAND_HELP_SHOWN)
		return 0;
	log_hold();
	if (first < 0 || launch_container(runtime, &options, argv[first], false, &launched, &err) < 0)
		return runtime_fail(&err, 1);
	log_release();
	return 0;
}

int cmd_start(struct runtime *runtime, int argc, char **argv)
{
	struct state state;
	struct err err;
	int first = command_parse(&start_command, NULL, argc, argv, &err), ret;

	if (first == COMMAND_HELP_SHOWN)
		return 0;
	if (first < 0)
		return runtime_fail(&err, 1);
	ret = command_open(runtime, argv[first], &state, &err);
	if (ret == 0)
		ret = launch_start(&state, &err);
	state_close(&state);
	return ret < 0 ? runtime_fail(&err, launch_exit_status(&err)) : 0;
}

/* The container has ended, or is not wanted any more. */
static void clean_up(struct runtime *runtime, const char *id)
{
	struct err err;

	if (delete_container(runtime, id, true, &err) < 0)
		log_warn("%s", err.msg);
}

static int start_by_id(struct runtime *runtime, const char *id, struct err *err)
{
	struct state state;
	int ret = state_open(&state, runtime->root, id, err);

	if (ret == 0)
		ret = launch_start(&state, err);
	state_close(&state);
	return ret;
}

static int run_container(struct runtime *runtime, const struct launch_options *options, const char *id)
{
	struct launched launched = { 0, -1 };
	struct err err;
	int status;

	log_hold();
	status = launch_container(runtime, options, id, !options->detach, &launched, &err);
	if (status < 0)
		return runtime_fail(&err, launch_exit_status(&err));
	if (start_by_id(runtime, id, &err) < 0) {
		clean_up(runtime, id);
		return runtime_fail(&err, launch_exit_status(&err));
	}
	log_release();
	if (options->detach)
		return 0;
	status = launched.master >= 0 ? terminal_proxy(launched.master, launched.pid, &err) :
					terminal_wait(launched.pid, &err);
	if (!options->keep)
		clean_up(runtime, id);
	return status < 0 ? runtime_fail(&err, 1) : status;
}

int cmd_run(struct runtime *runtime, int argc, char **argv)
{
	struct launch_options options = { 0 };
	struct err err;
	int first = command_parse(&run_command, &options, argc, argv, &err);

	if (first == COMMAND_HELP_SHOWN)
		return 0;
	if (first < 0)
		return runtime_fail(&err, 1);
	return run_container(runtime, &options, argv[first]);
}
