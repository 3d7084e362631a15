/* SPDX-License-Identifier: Apache-2.0 */
/* Creating a container, and a process in one: the steps that `create`, `run` and `exec` share. */
#ifndef RUNTIME_LAUNCH_H
#define RUNTIME_LAUNCH_H

#include <jansson.h>
#include <stdbool.h>

#include "lib/err.h"
#include "runtime/runtime.h"
#include "runtime/state.h"

struct launch_options {
	const char *bundle, *config_file, *pid_file, *console_socket, *pidfd_socket;
	bool no_pivot, no_new_keyring, detach, keep, no_subreaper;
	long preserve_fds;
	const char *cgroup; /* exec: below the container's, in the guest; NULL: the container's */
};

struct launched {
	pid_t pid;  /* the stand-in, our child */
	int master; /* owned: the terminal to proxy, -1 if none */
};

/*
 * Creates container id. On success the container is committed: state.json, then the pid file, are written. On failure
 * nothing is left of it. foreground: a terminal without console socket is the caller's to proxy (launched->master).
 */
int launch_container(struct runtime *runtime, const struct launch_options *options, const char *id, bool foreground,
		     struct launched *launched, struct err *err) must_check;

/* Starts another process in a running container; process is its spec object. The same contract. */
int launch_exec(const struct state *state, const json_t *process, const json_t *seccomp, const struct runtime *runtime,
		const struct launch_options *options, bool foreground, struct launched *launched, struct err *err) must_check;

/* StartContainer, and the flag. */
int launch_start(struct state *state, struct err *err) must_check;

/* The exit status for a failure to run a program: 127 not found, 126 not executable, else 1. */
int launch_exit_status(const struct err *err);

#endif
