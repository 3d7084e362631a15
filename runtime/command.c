/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands share. */
#include "runtime/command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/log.h"

#define CREATION_TIMEOUT_MS 60000 /* longer than a guest may take to boot */
#define END_TIMEOUT_MS 2000
#define ARGUMENTS_MAX 8 /* no command takes more, but exec */

int runtime_fail(const struct err *err, int status)
{
	log_drop();
	log_error("%s", err->msg);
	return status;
}

/*
 * Options may stand behind arguments, as with runc and crun, where there is no command line of somebody else's in them. The
 * arguments end up last in argv, in their order; returns the index of the first, or -errno.
 */
static int parse_permuted(const struct command *command, void *target, int argc, char **argv, struct err *err)
{
	char *arguments[ARGUMENTS_MAX];
	int n = 0, at = 0;

	for (;;) {
		int used = options_parse(command->options, command->noptions, target, argc - at, argv + at, err);

		if (used < 0)
			return used;
		at += used;
		if (at == argc)
			break;
		if (!strcmp(argv[at - 1], "--") || n == ARGUMENTS_MAX) {
			/* All that is left; too many are too many, whatever they are. */
			memmove(argv + at - n, arguments, (size_t)n * sizeof(*argv));
			return at - n;
		}
		arguments[n++] = argv[at];
	}
	memcpy(argv + argc - n, arguments, (size_t)n * sizeof(*argv));
	return argc - n;
}

int command_parse(const struct command *command, void *target, int argc, char **argv, struct err *err)
{
	int first;

	for (int i = 1; i < argc && argv[i][0] == '-'; i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			printf("Usage: cella %s\n", command->usage);
			options_print(command->options, command->noptions);
			return COMMAND_HELP_SHOWN;
		}
	first = command->max_args < 0 ? options_parse(command->options, command->noptions, target, argc, argv, err) :
					parse_permuted(command, target, argc, argv, err);
	if (first < 0)
		return first;
	if (argc - first < command->min_args || (command->max_args >= 0 && argc - first > command->max_args))
		return err_msg(err, EINVAL, "usage: cella %s", command->usage);
	return first;
}

int command_open(struct runtime *runtime, const char *id, struct state *state, struct err *err)
{
	int64_t deadline = io_now_ms() + CREATION_TIMEOUT_MS;
	int ret = state_open(state, runtime->root, id, err);

	while (ret == 0 && state_is_being_created(state) && io_now_ms() < deadline) {
		state_close(state);
		usleep(10000);
		ret = state_open(state, runtime->root, id, err);
	}
	return ret;
}

bool command_has_ended(const struct state *state, const struct err *err)
{
	static const int nobody[] = { ENOENT, ESRCH, ECONNREFUSED, ECONNRESET, EPIPE, EIO };
	int64_t deadline = io_now_ms() + END_TIMEOUT_MS;
	bool is_nobody = false;

	for (size_t i = 0; i < ARRAY_SIZE(nobody); i++)
		is_nobody |= err->code == nobody[i];
	while (is_nobody && process_alive(&state->standin) && io_now_ms() < deadline)
		usleep(10000);
	return is_nobody && !process_alive(&state->standin);
}
