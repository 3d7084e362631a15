/* SPDX-License-Identifier: Apache-2.0 */
/* Terminals on the host: pty pairs, the console socket, and the user's own terminal. */
#ifndef RUNTIME_TERMINAL_H
#define RUNTIME_TERMINAL_H

#include <jansson.h>
#include <termios.h>

#include "lib/err.h"

struct pty {
	int master, slave; /* owned */
};

/* A pty with process.consoleSize, where given, else the size of our own terminal. */
int terminal_open_pty(struct pty *pty, const json_t *process, struct err *err) must_check;

/* Sends the master over the console socket (one message, its name as payload). */
int terminal_send_master(const struct pty *pty, const char *socket_path, struct err *err) must_check;

/*
 * Connects our standard streams and the master until the process `pid` (our child) has ended; passes window sizes and
 * signals on. Its exit status (128 + N for a signal), or -errno. Our terminal is raw meanwhile and as before afterwards.
 */
int terminal_proxy(int master, pid_t pid, struct err *err) must_check;

/* The same without a terminal: waits, passes signals on. */
int terminal_wait(pid_t pid, struct err *err) must_check;

#endif
