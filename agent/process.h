/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes of containers, from their creation to their end, and their standard streams.
 *
 * Life: PROCESS_STARTING (child runs, sets up) -> PROCESS_CREATED (waits) -> PROCESS_RUNNING (exec'd) -> PROCESS_EXITED.
 * A first process stays CREATED until StartContainer; an exec'd one is started at once.
 */
#ifndef AGENT_PROCESS_H
#define AGENT_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "agent/preserved.h"
#include "agent/proto/agent.pb-c.h"
#include "agent/spawn.h"
#include "lib/copier.h"
#include "lib/err.h"
#include "lib/loop.h"
#include "lib/ttrpc.h"

enum process_state { PROCESS_STARTING, PROCESS_CREATED, PROCESS_RUNNING, PROCESS_EXITED };

struct container;

/* A call that is answered later. */
struct pending_call {
	struct ttrpc *conn;
	uint32_t stream;
	struct pending_call *next;
};

struct process {
	struct container *container; /* borrowed: it owns this */
	struct loop *loop;	     /* borrowed */
	char exec_id[128];	     /* empty: the first process */
	enum process_state state;
	pid_t pid;    /* in the guest's root pid namespace; 0 before it is known, and after the end */
	pid_t helper; /* the fork that enters namespaces, if there is one (spawn_has_helper) */
	int exit_status;
	struct ttrpc *owner; /* borrowed: the process dies with this connection */
	int report, sync, start; /* owned, -1 once done */
	int terminal;	    /* master side, owned, -1 if none */
	char token[33];
	int parent_ends[3]; /* our ends of the pipes until their connections come, owned */
	struct copier *copiers[3];
	struct preserved preserved;
	struct pending_call creating; /* conn NULL: answered */
	struct pending_call starting;
	struct pending_call *waiting; /* owned */
	struct process *next;
};

/*
 * Creates the pipes and the child. spawn is completed here (stdio, report, sync, start). On success the create call is
 * answered later, by process_* handlers.
 */
struct process *process_new(struct container *container, struct loop *loop, const char *exec_id, struct spawn *spawn,
			    const Cella__Agent__Stdio *stdio, struct err *err);

/* Kills it if it still runs, closes everything, fails calls that wait. */
void process_free(struct process *process);

/* Lets a created process exec; the call is answered when exec has succeeded or failed. */
void process_start(struct process *process, struct ttrpc *conn, uint32_t stream);

/* Answers now, or when the process has ended. */
void process_wait(struct process *process, struct ttrpc *conn, uint32_t stream);

int process_signal(struct process *process, int sig, struct err *err) must_check;
int process_resize(struct process *process, unsigned int rows, unsigned int columns, struct err *err) must_check;

/* A connection for a standard stream or a preserved descriptor came; fd is taken. */
void process_attach(struct process *process, unsigned int stream, int fd);

/* It was reaped with this wait status. */
void process_reaped(struct process *process, int wait_status);

/* Forgets calls of a connection that ended, and kills the process if it was the connection's. */
void process_connection_ended(struct process *process, struct ttrpc *conn);

#endif
