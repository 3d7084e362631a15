/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links that come and go while a VM runs: `network connect` and `disconnect`, and engines that set a network up after
 * create. A link that has no tap yet gets one, and the VM a device for it; a tap whose link is gone ends with its device.
 */
#ifndef RUNTIME_NETWORK_SYNC_H
#define RUNTIME_NETWORK_SYNC_H

#include "lib/err.h"
#include "runtime/network.h"
#include "runtime/share.h"

/* The VM that the namespace belongs to. All borrowed. */
struct network_guest {
	const char *container; /* whose network it is; empty: the VM's own */
	char device_id[SHARE_PREFIX_MAX]; /* of its devices in the VMM; empty, too */
	int control; /* the VMM's socket (vm_control.h) */
	int tun_dir; /* network_open_tun_dir */
	int proc_dir; /* an open /proc */
	/* A call to the agent, and its answer. */
	int (*call)(void *ctx, const char *method, const ProtobufCMessage *request, struct err *err);
	void *ctx;
};

/* Names the network that has this number (state.h) and was made for container id, which is borrowed. */
void network_guest_name(struct network_guest *guest, const char *id, unsigned int number);

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
