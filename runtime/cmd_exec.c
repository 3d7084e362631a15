/* SPDX-License-Identifier: Apache-2.0 */
/* cella exec. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/json.h"
#include "lib/log.h"
#include "runtime/command.h"
#include "runtime/launch.h"
#include "runtime/limits.h"
#include "runtime/spec.h"
#include "runtime/terminal.h"

struct exec_options {
	struct launch_options launch;
	const char *process, *cwd, *user, *apparmor, *process_label;
	struct option_list env, caps, groups;
	bool tty, no_new_privs, ignore_paused;
};

static const struct option exec_options[] = {
	{ "process", 'p', OPTION_STRING, offsetof(struct exec_options, process), "file with the process object" },
	{ "detach", 'd', OPTION_FLAG, offsetof(struct exec_options, launch.detach), "do not wait for it" },
	{ "pid-file", 0, OPTION_STRING, offsetof(struct exec_options, launch.pid_file), "gets the pid of the stand-in" },
	{ "console-socket", 0, OPTION_STRING, offsetof(struct exec_options, launch.console_socket),
	  "unix socket that gets the terminal" },
	{ "pidfd-socket", 0, OPTION_STRING, offsetof(struct exec_options, launch.pidfd_socket), NULL },
	{ "preserve-fds", 0, OPTION_NUMBER, offsetof(struct exec_options, launch.preserve_fds), NULL },
	{ "tty", 't', OPTION_FLAG, offsetof(struct exec_options, tty), "with a terminal" },
	{ "cwd", 0, OPTION_STRING, offsetof(struct exec_options, cwd), "working directory" },
	{ "env", 'e', OPTION_LIST, offsetof(struct exec_options, env), "NAME=VALUE, may be repeated" },
	{ "user", 'u', OPTION_STRING, offsetof(struct exec_options, user), "UID[:GID]" },
	{ "additional-gids", 'g', OPTION_LIST, offsetof(struct exec_options, groups), "may be repeated" },
	{ "cap", 'c', OPTION_LIST, offsetof(struct exec_options, caps), "capability to add, may be repeated" },
	{ "no-new-privs", 0, OPTION_FLAG, offsetof(struct exec_options, no_new_privs), "set no_new_privs" },
	{ "ignore-paused", 0, OPTION_FLAG, offsetof(struct exec_options, ignore_paused), "also in a paused container" },
	{ "apparmor", 0, OPTION_STRING, offsetof(struct exec_options, apparmor), NULL },
	{ "process-label", 0, OPTION_STRING, offsetof(struct exec_options, process_label), NULL },
	{ "cgroup", 0, OPTION_STRING, offsetof(struct exec_options, launch.cgroup), "below the container's, where it exists" },
};
static const struct command exec_command = { "exec [OPTION]... ID [COMMAND ARGUMENT...]", exec_options,
					     ARRAY_SIZE(exec_options), 1, -1 };

static json_t *strings(char **values, int n)
{
	json_t *array = json_array();

	for (int i = 0; i < n; i++)
		json_array_append_new(array, json_string(values[i]));
	return array;
}

static int set_user(json_t *process, const struct exec_options *options, struct err *err)
{
	json_t *user = json_pack("{s:i, s:i}", "uid", 0, "gid", 0);
	unsigned int uid, gid = 0;
	int n;

	if (options->user) {
		n = sscanf(options->user, "%u:%u", &uid, &gid);
		if (n < 1) {
			json_decref(user);
			return err_msg(err, EINVAL, "option --user: '%s' is not UID[:GID]", options->user);
		}
		json_object_set_new(user, "uid", json_integer(uid));
		json_object_set_new(user, "gid", json_integer(gid));
	} else if (json_object_get(process, "user")) {
		json_object_update(user, json_object_get(process, "user"));
	}
	if (options->groups.n) {
		json_t *list = json_array();

		for (size_t i = 0; i < options->groups.n; i++)
			json_array_append_new(list, json_integer(atoi(options->groups.values[i])));
		json_object_set_new(user, "additionalGids", list);
	}
	return json_object_set_new(process, "user", user);
}

/* Inheritable ones, and so ambient ones, would outlive a change of user (CVE-2022-29162): runc and crun give none. */
static void add_capabilities(json_t *process, const struct option_list *caps)
{
	static const char *const sets[] = { "bounding", "effective", "permitted" };
	json_t *capabilities = json_object_get(process, "capabilities");

	if (!caps->n)
		return;
	if (!capabilities) {
		capabilities = json_object();
		json_object_set_new(process, "capabilities", capabilities);
	}
	for (size_t s = 0; s < ARRAY_SIZE(sets); s++) {
		json_t *set = json_object_get(capabilities, sets[s]);

		if (!set) {
			set = json_array();
			json_object_set_new(capabilities, sets[s], set);
		}
		for (size_t i = 0; i < caps->n; i++)
			json_array_append_new(set, json_string(caps->values[i]));
	}
}

/* The container's own process object with what the options change. */
static json_t *process_from_options(const json_t *config, const struct exec_options *options, int argc, char **argv,
				    struct err *err)
{
	json_t *process = json_deep_copy(json_object_get(config, "process")), *env;

	if (!process || argc == 0) {
		err_msg(err, EINVAL, "exec: no command and no --process");
		json_decref(process);
		return NULL;
	}
	json_object_set_new(process, "args", strings(argv, argc));
	json_object_set_new(process, "terminal", json_boolean(options->tty));
	json_object_del(process, "consoleSize");
	if (options->cwd)
		json_object_set_new(process, "cwd", json_string(options->cwd));
	if (options->no_new_privs)
		json_object_set_new(process, "noNewPrivileges", json_true());
	env = json_object_get(process, "env");
	if (!env) {
		env = json_array();
		json_object_set_new(process, "env", env);
	}
	for (size_t i = 0; i < options->env.n; i++)
		json_array_append_new(env, json_string(options->env.values[i]));
	add_capabilities(process, &options->caps);
	if (set_user(process, options, err) < 0) {
		json_decref(process);
		return NULL;
	}
	return process;
}

/* What has no effect in a guest, and is warned of as in config.json. */
static void add_labels(json_t *process, const struct exec_options *options)
{
	if (options->apparmor)
		json_object_set_new(process, "apparmorProfile", json_string(options->apparmor));
	if (options->process_label)
		json_object_set_new(process, "selinuxLabel", json_string(options->process_label));
	spec_warn_of_labels(process);
}

static json_t *process_from_file(const char *path, const struct exec_options *options, struct err *err)
{
	size_t len;
	auto_free char *text = io_read_file(AT_FDCWD, path, SPEC_FILE_MAX, &len, err);
	json_t *process = text ? json_parse_object(text, len, path, err) : NULL;

	/* conmon before 2.1.11 says it a second time. */
	if (process && options->tty)
		json_object_set_new(process, "terminal", json_true());
	return process;
}

static json_t *read_config(const struct state *state, struct err *err)
{
	size_t len;
	auto_free char *text = io_read_file(state->dirfd, "config.json", SPEC_FILE_MAX, &len, err);

	return text ? json_parse_object(text, len, "config.json", err) : NULL;
}

static int exec_in(struct runtime *runtime, const struct state *state, const struct exec_options *options, int argc,
		   char **argv)
{
	struct launched launched = { 0, -1 };
	struct err err;
	json_t *config = read_config(state, &err), *process = NULL;
	int status = -1;

	log_hold();
	if (config)
		process = options->process ? process_from_file(options->process, options, &err) :
					     process_from_options(config, options, argc, argv, &err);
	if (process)
		add_labels(process, options);
	if (process && spec_check_process(process, "process", &err) == 0 && limits_inherit(process, &err) == 0)
		status = launch_exec(state, process, json_object_get(json_object_get(config, "linux"), "seccomp"), runtime,
				     &options->launch, !options->launch.detach, &launched, &err);
	json_decref(process);
	json_decref(config);
	if (status < 0)
		return runtime_fail(&err, launch_exit_status(&err) == 1 ? 255 : launch_exit_status(&err));
	log_release();
	if (options->launch.detach)
		return 0;
	status = launched.master >= 0 ? terminal_proxy(launched.master, launched.pid, &err) :
					terminal_wait(launched.pid, &err);
	return status < 0 ? runtime_fail(&err, 255) : status;
}

int cmd_exec(struct runtime *runtime, int argc, char **argv)
{
	struct exec_options options = { 0 };
	struct state state;
	struct err err;
	int first = command_parse(&exec_command, &options, argc, argv, &err), status;

	if (first == COMMAND_HELP_SHOWN)
		return 0;
	if (first < 0 || command_open(runtime, argv[first], &state, &err) < 0)
		return runtime_fail(&err, first < 0 ? 255 : 1);
	/* As with runc, the first process need not have been started. */
	if (state.status == STATUS_RUNNING || state.status == STATUS_CREATED || (state.status == STATUS_PAUSED && options.ignore_paused)) {
		status = exec_in(runtime, &state, &options, argc - first - 1, argv + first + 1);
	} else {
		err_msg(&err, EINVAL, "cannot exec in a container that is %s", status_names[state.status]);
		status = runtime_fail(&err, 255);
	}
	state_close(&state);
	return status;
}
