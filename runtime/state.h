/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's directory below --root, and state.json in it. There is no daemon: what is true is in this directory and
 * in /proc.
 *
 *   <root>/<id>/state.json	written when create succeeds, never changed (atomic)
 *   <root>/<id>/config.json	our copy: later changes of the bundle's do not count (runtime-spec, Lifecycle 2)
 *   <root>/<id>/started, paused	flags: empty files
 *   <root>/<id>/vm-owner	the container in whose VM it is, if that is not its own
 *   <root>/<id>/network	the number of its network in the VM, if that is not the VM's own
 *   <root>/<id>/network-<n>	in a VM owner's: network n is some container's
 *   <root>/<id>/cgroup.json	its cgroup on the host
 *   <root>/<id>/vmm.log	what the VMM said
 *   <root>/<id>/standin.log	what the stand-ins had to say
 *   <root>/<id>/vm/		the VMM's root directory: its sockets
 */
#ifndef RUNTIME_STATE_H
#define RUNTIME_STATE_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"

#define STATE_ID_MAX 1024

enum status { STATUS_CREATING, STATUS_CREATED, STATUS_RUNNING, STATUS_PAUSED, STATUS_STOPPED };
extern const char *const status_names[];

/* A process that is still the same one: the start time tells a reused pid. */
struct process_id {
	pid_t pid;
	uint64_t start_time; /* /proc/PID/stat, field 22 */
};

struct state {
	char id[STATE_ID_MAX + 1];
	char directory[PATH_MAX]; /* <root>/<id> */
	int dirfd;		  /* of it, owned */
	enum status status;
	struct process_id standin, vmm;
	unsigned int vm_memory_mib; /* the guest's memory */
	char vm_owner[STATE_ID_MAX + 1]; /* the container that the VM was started for: this one, or another of its pod */
	char vm_dir[PATH_MAX + 8];	 /* that one's vm/ */
	unsigned int network;		 /* number in the VM; 0: the VM's own */
	bool owns_network;		 /* which was made for it */
	json_t *document; /* state.json, owned; NULL while it is being created */
};

/* 0 if id may name a directory: [A-Za-z0-9_+.-]+, not "." or "..". */
int state_check_id(const char *id, struct err *err) must_check;

/* Makes the directory. "container with given ID already exists" when there is one. */
int state_create(struct state *state, const char *root, const char *id, struct err *err) must_check;

/* Opens an existing container and finds out its status. "container does not exist" with ENOENT. */
int state_open(struct state *state, const char *root, const char *id, struct err *err) must_check;

/*
 * Calls look for every container below root that can be opened, until one call returns something else than 0, and returns that.
 * The state is closed after the call.
 */
int state_for_each(const char *root, int (*look)(const struct state *state, void *ctx), void *ctx);

/* Whether somebody is at it who called state_create, in this moment. */
bool state_is_being_created(const struct state *state);
void state_close(struct state *state);

/* Notes that the container is in another one's VM: before anything is done there, so that delete finds it. */
int state_join_vm(struct state *state, const char *root, const char *owner, struct err *err) must_check;

/* Whether it is in the VM that was started for it. */
bool state_owns_vm(const struct state *state);

/* Gives it a network of its own in the VM of another one that it has joined. ENOSPC: there are too many. */
int state_take_network(struct state *state, struct err *err) must_check;
/* Or the one of another container of the VM. */
int state_share_network(struct state *state, unsigned int network, struct err *err) must_check;
/* It does not need it any more. */
void state_leave_network(const struct state *state);

/* Writes state.json: the commit of a create. bundle is absolute. */
int state_commit(struct state *state, const char *bundle, const json_t *config, struct err *err) must_check;

/* The state as the runtime-spec has it (new). */
json_t *state_to_json(const struct state *state);

/* The config.json that the container was created from (new), or NULL. */
json_t *state_load_config(const struct state *state, struct err *err);

int state_set_flag(struct state *state, const char *name, bool set, struct err *err) must_check;

/* Removes the directory. */
int state_remove(struct state *state, struct err *err) must_check;

/* pid and start time of a process; -ESRCH if it does not exist. */
int process_identify(pid_t pid, struct process_id *id) must_check;

/* Whether it runs (a zombie does not). */
bool process_alive(const struct process_id *id);

/* SIGKILL, and waits at most timeout_ms until it is gone with all its threads. */
void process_kill_wait(const struct process_id *id, int timeout_ms);

#endif
