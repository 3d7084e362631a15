/* SPDX-License-Identifier: Apache-2.0 */
/* cella kill, delete, pause and resume. */
#include <dirent.h>
#include <errno.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "agent/proto/agent.pb-c.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/log.h"
#include "runtime/agent_client.h"
#include "runtime/command.h"
#include "runtime/delete.h"

struct lifecycle_options {
	bool all, force;
	const char *regex;
};

static const struct option kill_options[] = {
	{ "all", 'a', OPTION_FLAG, offsetof(struct lifecycle_options, all), "all processes of the container" },
};
static const struct option delete_options[] = {
	{ "force", 'f', OPTION_FLAG, offsetof(struct lifecycle_options, force), "kill it if it runs; none is no error" },
	{ "regex", 'r', OPTION_STRING, offsetof(struct lifecycle_options, regex), "all whose names match, instead of ID" },
};
static const struct command kill_command = { "kill [OPTION]... ID [SIGNAL]", kill_options, ARRAY_SIZE(kill_options), 1, 2 };
static const struct command delete_command = { "delete [OPTION]... ID", delete_options, ARRAY_SIZE(delete_options), 0, 1 };
static const struct command pause_command = { "pause ID", NULL, 0, 1, 1 };
static const struct command resume_command = { "resume ID", NULL, 0, 1, 1 };

/* TERM, SIGTERM, sigterm, 15, RTMIN+3. Its number, or -EINVAL. */
static int parse_signal(const char *text, struct err *err)
{
	char *end;
	long number = strtol(text, &end, 10);
	const char *name = strncasecmp(text, "SIG", 3) ? text : text + 3;

	if (!*end && *text && number >= 0 && number < NSIG)
		return (int)number;
	if (!strncasecmp(name, "RTMIN+", 6) && (number = strtol(name + 6, &end, 10)) >= 0 && !*end && 34 + number < NSIG)
		return (int)(34 + number);
	for (int sig = 1; sig < NSIG; sig++)
		if (sigabbrev_np(sig) && !strcasecmp(sigabbrev_np(sig), name))
			return sig;
	return err_msg(err, EINVAL, "unknown signal '%s'", text);
}

/* By the agent. A guest that does not answer is an error in bounded time; `delete --force` takes its VM away. */
static int kill_container(struct state *state, int sig, bool all, struct err *err)
{
	Cella__Agent__SignalProcessRequest request = CELLA__AGENT__SIGNAL_PROCESS_REQUEST__INIT;

	if (state->status == STATUS_STOPPED || state->status == STATUS_CREATING)
		return all ? 0 : err_msg(err, ESRCH, "container not running");
	request.id = state->id;
	request.signal = sig;
	request.all = all;
	if (agent_call_once(state->vm_dir, "SignalProcess", &request.base, &cella__agent__empty__descriptor, NULL, err) == 0)
		return 0;
	if (!command_has_ended(state, err))
		return -err->code;
	return all ? 0 : err_msg(err, ESRCH, "container not running");
}

int cmd_kill(struct runtime *runtime, int argc, char **argv)
{
	struct lifecycle_options options = { 0 };
	struct state state;
	struct err err;
	int first = command_parse(&kill_command, &options, argc, argv, &err), sig, ret;

	if (first == COMMAND_HELP_SHOWN)
		return 0;
	if (first < 0)
		return runtime_fail(&err, 1);
	ret = command_open(runtime, argv[first], &state, &err);
	if (ret == 0) {
		sig = parse_signal(first + 1 < argc ? argv[first + 1] : "TERM", &err);
		ret = sig < 0 ? sig : kill_container(&state, sig, options.all, &err);
	}
	state_close(&state);
	return ret < 0 ? runtime_fail(&err, 1) : 0;
}

/* Every container whose name matches; goes on after a failure, and returns the first. */
static int delete_matching(struct runtime *runtime, const struct lifecycle_options *options, struct err *err)
{
	DIR *directory;
	struct dirent *entry;
	regex_t regex;
	struct err one;
	int ret = 0;

	if (regcomp(&regex, options->regex, REG_EXTENDED | REG_NOSUB))
		return err_msg(err, EINVAL, "option --regex: '%s' is not a regular expression", options->regex);
	directory = opendir(runtime->root);
	if (!directory && errno != ENOENT)
		ret = err_set(err, errno, "open %s", runtime->root);
	while (directory && (entry = readdir(directory))) {
		if (*entry->d_name == '.' || regexec(&regex, entry->d_name, 0, NULL, 0))
			continue;
		if (delete_container(runtime, entry->d_name, options->force, &one) == 0)
			continue;
		if (ret < 0)
			log_error("%s", one.msg);
		else
			ret = -(*err = one).code;
	}
	if (directory)
		closedir(directory);
	regfree(&regex);
	return ret;
}

int cmd_delete(struct runtime *runtime, int argc, char **argv)
{
	struct lifecycle_options options = { 0 };
	struct err err;
	int first = command_parse(&delete_command, &options, argc, argv, &err), ret;

	if (first == COMMAND_HELP_SHOWN)
		return 0;
	if (first < 0)
		return runtime_fail(&err, 1);
	if ((first < argc) == !!options.regex)
		ret = err_msg(&err, EINVAL, "usage: cella %s", delete_command.usage);
	else
		ret = options.regex ? delete_matching(runtime, &options, &err) :
				      delete_container(runtime, argv[first], options.force, &err);
	return ret < 0 ? runtime_fail(&err, 1) : 0;
}

static int freeze(struct runtime *runtime, const struct command *command, bool frozen, int argc, char **argv)
{
	Cella__Agent__ProcessRef request = CELLA__AGENT__PROCESS_REF__INIT;
	enum status wanted = frozen ? STATUS_RUNNING : STATUS_PAUSED;
	struct state state;
	struct err err;
	int first = command_parse(command, NULL, argc, argv, &err), ret;

	if (first == COMMAND_HELP_SHOWN)
		return 0;
	if (first < 0)
		return runtime_fail(&err, 1);
	ret = command_open(runtime, argv[first], &state, &err);
	if (ret == 0 && state.status != wanted)
		ret = err_msg(&err, EINVAL, "cannot %s container %s: it is %s", frozen ? "pause" : "resume", state.id,
			      status_names[state.status]);
	if (ret == 0) {
		request.id = state.id;
		ret = agent_call_once(state.vm_dir, frozen ? "PauseContainer" : "ResumeContainer", &request.base,
				      &cella__agent__empty__descriptor, NULL, &err);
	}
	if (ret == 0)
		ret = state_set_flag(&state, "paused", frozen, &err);
	state_close(&state);
	return ret < 0 ? runtime_fail(&err, 1) : 0;
}

int cmd_pause(struct runtime *runtime, int argc, char **argv)
{
	return freeze(runtime, &pause_command, true, argc, argv);
}

int cmd_resume(struct runtime *runtime, int argc, char **argv)
{
	return freeze(runtime, &resume_command, false, argc, argv);
}
