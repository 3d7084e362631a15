/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way from a fork to the exec of a container's process. Everything here runs in the child; the parent hears of it
 * through the report socket.
 *
 * A container's first process:		agent --clone(new namespaces)--> child = pid 1 of the container
 *   with namespaces of its pod:		agent --fork--> helper --setns, clone(CLONE_PARENT, new namespaces)--> child
 * An exec'd process:			agent --fork--> helper --setns, clone(CLONE_PARENT)--> child; the helper exits
 *
 * In both cases the child is the agent's, so that the agent reaps it.
 */
#ifndef AGENT_SPAWN_H
#define AGENT_SPAWN_H

#include <jansson.h>
#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "agent/preserved.h"
#include "agent/rootfs.h"
#include "lib/cgroup.h"
#include "lib/err.h"

/* One message on the report socket (SOCK_SEQPACKET); the end of it after SPAWN_CREATED means that exec succeeded. */
enum spawn_event {
	SPAWN_PID,	/* exec'd process: pid is the child's */
	SPAWN_TERMINAL, /* one descriptor comes with it: the terminal's master side */
	SPAWN_CREATED,	/* set up, waits for a byte on the start pipe */
	SPAWN_FAILED,	/* err says why; the child is about to exit */
};

struct spawn_report {
	enum spawn_event event;
	pid_t pid;
	struct err err;
};

#define SPAWN_JOINS_MAX 4

struct spawn {
	const json_t *config;  /* config.json; for an exec'd process its container's */
	const json_t *process; /* the process object */
	struct rootfs_plan rootfs; /* first process only, as the next */
	const char *bundle;
	const struct cgroup *cgroup;
	bool cgroup_was_named; /* the caller wants just this one */
	struct {
		const char *type; /* "pid", "ipc", "uts", and at the end "user": who is in it has no say in the others any more */
		pid_t init;	  /* the first process of the container whose namespace it is */
	} joins[SPAWN_JOINS_MAX];
	size_t njoins;	  /* first process only: namespaces that are shared instead of new ones */
	int network;	  /* network_namespace.h */
	const struct sock_filter *seccomp; /* NULL: none */
	size_t seccomp_len;
	unsigned int seccomp_flags;
	int stdio[3];	/* the child's ends; with a terminal -1 */
	const struct preserved *preserved;
	int report;	/* child's end of the report socket */
	int sync;	/* the child waits for a byte: the parent has put it into its cgroup and mapped its ids */
	int start;	/* the child waits for a byte: exec now */
	pid_t init;	/* exec'd process: the container's first process; else 0 */
};

/* Whether there is a helper between the agent and the child: then the child's pid comes with SPAWN_PID. */
bool spawn_has_helper(const struct spawn *spawn);

/* Forks. The pid of the child (or helper), or -errno. Descriptors stay the caller's. */
pid_t spawn_first_process(const struct spawn *spawn, struct err *err) must_check;
pid_t spawn_exec_process(const struct spawn *spawn, struct err *err) must_check;

/* The guest's number for one of the container's, where config's mappings ("uidMappings" or "gidMappings") have one. */
uint32_t spawn_guest_id(const json_t *config, const char *mappings, uint32_t id);

/* Writes linux.uidMappings and gidMappings for a child in a new user namespace. Parent. */
int spawn_write_id_maps(pid_t pid, const json_t *config, struct err *err) must_check;

/* Whether the config names a namespace of this type ("user", ...), and whether it is one that is there already: by its path. */
bool spawn_wants_namespace(const json_t *config, const char *type);
bool spawn_joins_namespace(const json_t *config, const char *type);

#endif
