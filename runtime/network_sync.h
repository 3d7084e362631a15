/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links that come and go while a VM runs: `network connect` and `disconnect`, and engines that set a network up after
 * create. A link that has no tap yet gets one, and the VM a device for it; a tap whose link is gone ends with its device.
 */
#ifndef RUNTIME_NETWORK_SYNC_H
#define RUNTIME_NETWORK_SYNC_H

#include "lib/err.h"
#include "runtime/network.h"

/* The VM that the namespace belongs to. All borrowed. */
struct network_guest {
	int control; /* the VMM's socket (vm_control.h) */
	int tun_dir; /* network_open_tun_dir */
	int proc_dir; /* an open /proc */
	/* A call to the agent, and its answer. */
	int (*call)(void *ctx, const char *method, const ProtobufCMessage *request, struct err *err);
	void *ctx;
};

/*
 * Makes the VM's devices those of the namespace that the caller is in; fd: an rtnetlink socket there. *network, empty
 * before, is what was found. One at a time: the caller holds the lock below.
 */
int network_sync(struct network *network, const struct network_guest *guest, int fd, struct err *err) must_check;

/* Tells the guest what the link has by now: addresses, routes, neighbours. */
int network_tell_agent(const struct network *network, const struct network_link *link, const struct network_guest *guest,
		       struct err *err) must_check;

/* Of what network_tell_agent would tell. */
uint64_t network_hash(const struct network *network, const struct network_link *link);

/* A file in the container's directory that whoever syncs locks (flock(2)). */
#define NETWORK_LOCK "network.lock"

#endif
