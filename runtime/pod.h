/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pods: containers that share a VM. A container joins the VM of another one
 *   - when its annotations name its pod's sandbox (CRI-O, containerd), or
 *   - when a namespace that it wants to join is that of the other one's stand-in: `podman pod`, `--network container:X`.
 * The VM belongs to the container that it was started for, and ends with it.
 */
#ifndef RUNTIME_POD_H
#define RUNTIME_POD_H

#include <jansson.h>
#include <stdbool.h>

#include "lib/err.h"
#include "runtime/share.h"
#include "runtime/state.h"

#define POD_NAMESPACES_MAX 4

struct pod {
	char vm_owner[STATE_ID_MAX + 1]; /* empty: the container gets a VM of its own */
	struct {
		const char *type; /* "pid", "ipc", "uts", "network" */
		char container[STATE_ID_MAX + 1]; /* whose it is */
	} namespaces[POD_NAMESPACES_MAX];	  /* to be shared inside the guest */
	size_t n;
	bool own_network; /* one of its own in the guest, beside the VM's and others' */
	unsigned int network; /* or another container's, which is among the namespaces: its number (state.h) */
};

/*
 * Takes the namespaces out of config that are the caller's own: to join them is to have none of its own (podman's
 * `--cgroupns container:X` where X has the host's). Returns how many.
 */
size_t pod_drop_own_namespaces(json_t *config);

/* Finds out which pod config belongs to. Refuses what no VM can be: namespaces of containers in two VMs. */
int pod_find(struct pod *pod, const char *root, const json_t *config, struct err *err) must_check;

/* Whether its annotations make it the container that a pod's others join. */
bool pod_is_sandbox(const json_t *config);

/* The prefix of a container's shares and devices in a VM that is not its own: no other container's begins with it. */
void pod_share_prefix(const char *id, char out[SHARE_PREFIX_MAX]);

/*
 * Takes a container that has ended out of the VM, if it was a guest of another one's, and gives the host its network back,
 * if it has one. A VM that is gone is no error.
 */
int pod_leave(const struct state *state, const json_t *config, struct err *err) must_check;

#endif
