/* SPDX-License-Identifier: Apache-2.0 */
/* The last steps before exec: terminal, program, user, limits, capabilities, seccomp. Runs in the child. */
#ifndef AGENT_PROCESS_SETUP_H
#define AGENT_PROCESS_SETUP_H

#include <jansson.h>
#include <limits.h>
#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>

#include "agent/preserved.h"
#include "lib/err.h"

struct process_setup {
	const json_t *config, *process; /* borrowed */
	const struct sock_filter *seccomp;
	size_t seccomp_len;
	unsigned int seccomp_flags;
	int stdio[3];
	const struct preserved *preserved;
	int console; /* the terminal's slave side, or -1 */
	bool own_user_namespace;
	const char *id, *bundle; /* for startContainer hooks; NULL: an exec'd process, which has none */
	char program[PATH_MAX]; /* out of process_resolve */
};

/* Keeps the guest's /proc at hand, which is out of reach after pivot_root: for oom_score_adj. */
int process_open_proc(struct err *err) must_check;
void process_close_proc(void);

/* process.oomScoreAdj for the process that has opened its /proc, and for its children. Does nothing without. */
int process_set_oom_score(const json_t *process, struct err *err) must_check;

/* A new terminal from the devpts at /dev/pts below root, with process.consoleSize. The slave side; *ret_master too. */
int terminal_open(int root, const json_t *process, int *ret_master, struct err *err) must_check;

/*
 * Finds process.args[0] as execvp(3) would, with process.env's PATH and process.cwd; the wording of the errors is
 * runc's, which engines look at. "/" is the container's.
 */
int process_resolve(struct process_setup *setup, struct err *err) must_check;

/* Does the rest and becomes the program. Returns only on failure. */
int process_exec(struct process_setup *setup, struct err *err) must_check;

#endif
