/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands share: parsing with --help, opening the one container that they are about. */
#ifndef RUNTIME_COMMAND_H
#define RUNTIME_COMMAND_H

#include "lib/err.h"
#include "runtime/options.h"
#include "runtime/runtime.h"
#include "runtime/state.h"

struct command {
	const char *usage; /* "create [OPTION]... ID" */
	const struct option *options;
	size_t noptions;
	int min_args, max_args; /* after the options; max -1: any number */
};

#define COMMAND_HELP_SHOWN (-1000000)

/*
 * Parses options into target (whose first field is the bool for --help when `options` starts with it). Returns the index
 * of the first argument, COMMAND_HELP_SHOWN, or -errno.
 */
int command_parse(const struct command *command, void *target, int argc, char **argv, struct err *err) must_check;

/* Opens container id. One that is just being created is waited for: callers that look for it see it before it is there. */
int command_open(struct runtime *runtime, const char *id, struct state *state, struct err *err) must_check;

/* Whether a call to the agent found nobody because the container, or the VM of its pod, was just ending: its stand-in follows. */
bool command_has_ended(const struct state *state, const struct err *err);

#endif
