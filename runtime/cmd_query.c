/* SPDX-License-Identifier: Apache-2.0 */
/* cella state, list and ps: what is there. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/proto/agent.pb-c.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "runtime/agent_client.h"
#include "runtime/command.h"

struct query_options {
	const char *format;
	bool quiet;
};

static const struct option list_options[] = {
	{ "format", 'f', OPTION_STRING, offsetof(struct query_options, format), "table or json" },
	{ "quiet", 'q', OPTION_FLAG, offsetof(struct query_options, quiet), "ids only" },
};
static const struct option ps_options[] = {
	{ "format", 'f', OPTION_STRING, offsetof(struct query_options, format), "table or json" },
};
static const struct command state_command = { "state ID", NULL, 0, 1, 1 };
static const struct command list_command = { "list [OPTION]...", list_options, ARRAY_SIZE(list_options), 0, 0 };
static const struct command ps_command = { "ps [OPTION]... ID", ps_options, ARRAY_SIZE(ps_options), 1, -1 };

static int check_format(const char *format, struct err *err)
{
	if (strcmp(format, "table") && strcmp(format, "json"))
		return err_msg(err, EINVAL, "option --format: '%s' is neither table nor json", format);
	return 0;
}

/* Prints and releases a document. */
static void print_json(json_t *document, size_t flags)
{
	json_dumpf(document, stdout, flags);
	putchar('\n');
	json_decref(document);
}

int cmd_state(struct runtime *runtime, int argc, char **argv)
{
	struct state state;
	struct err err;
	int first = command_parse(&state_command, NULL, argc, argv, &err);

	if (first == COMMAND_HELP_SHOWN)
		return 0;
	if (first < 0 || state_open(&state, runtime->root, argv[first], &err) < 0)
		return runtime_fail(&err, 1);
	print_json(state_to_json(&state), JSON_INDENT(2));
	state_close(&state);
	return 0;
}

static void print_row(const json_t *state)
{
	printf("%-12s %-10lld %-10s %-40s %-30s %s\n", json_get_string(state, "id", ""),
	       (long long)json_get_integer(state, "pid", 0), json_get_string(state, "status", ""),
	       json_get_string(state, "bundle", ""), json_get_string(state, "created", ""), "root");
}

/* Half-created ones are left out. */
static int collect(const struct state *state, void *all)
{
	if (state->status != STATUS_CREATING)
		json_array_append_new(all, state_to_json(state));
	return 0;
}

int cmd_list(struct runtime *runtime, int argc, char **argv)
{
	struct query_options options = { .format = "table" };
	struct err err;
	int first = command_parse(&list_command, &options, argc, argv, &err);
	json_t *all, *state;
	size_t i;

	if (first == COMMAND_HELP_SHOWN)
		return 0;
	if (first < 0 || check_format(options.format, &err) < 0)
		return runtime_fail(&err, 1);
	all = json_array();
	state_for_each(runtime->root, collect, all);
	if (options.quiet) {
		json_array_foreach(all, i, state)
			puts(json_get_string(state, "id", ""));
	} else if (!strcmp(options.format, "json")) {
		print_json(all, JSON_COMPACT);
		return 0;
	} else {
		printf("%-12s %-10s %-10s %-40s %-30s %s\n", "ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER");
		json_array_foreach(all, i, state)
			print_row(state);
	}
	json_decref(all);
	return 0;
}

/* json: pids of the host, for engines, which look them up there; table: the guest's, for people. */
static int print_processes(const struct state *state, bool json, struct err *err)
{
	Cella__Agent__ProcessRef request = CELLA__AGENT__PROCESS_REF__INIT;
	Cella__Agent__ListProcessesResponse *response;
	ProtobufCMessage *answer;

	if (state->status == STATUS_STOPPED || state->status == STATUS_CREATING)
		return err_msg(err, EINVAL, "container %s is not running", state->id);
	if (json) {
		printf("[%d]\n", (int)state->standin.pid);
		return 0;
	}
	request.id = (char *)state->id;
	if (agent_call_once(state->vm_dir, "ListProcesses", &request.base, &cella__agent__list_processes_response__descriptor,
			    &answer, err) < 0)
		return -err->code;
	response = (Cella__Agent__ListProcessesResponse *)answer;
	printf("PID (in the guest)\n");
	for (size_t i = 0; i < response->n_pids; i++)
		printf("%d\n", response->pids[i]);
	protobuf_c_message_free_unpacked(answer, NULL);
	return 0;
}

int cmd_ps(struct runtime *runtime, int argc, char **argv)
{
	struct query_options options = { .format = "table" };
	struct state state;
	struct err err;
	int first = command_parse(&ps_command, &options, argc, argv, &err), ret;

	if (first == COMMAND_HELP_SHOWN)
		return 0;
	if (first < 0 || check_format(options.format, &err) < 0 || command_open(runtime, argv[first], &state, &err) < 0)
		return runtime_fail(&err, 1);
	ret = print_processes(&state, !strcmp(options.format, "json"), &err);
	state_close(&state);
	return ret < 0 ? runtime_fail(&err, 1) : 0;
}
