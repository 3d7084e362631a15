/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes a network namespace over into the VM: each of its links gets a tap, and traffic control passes every frame from
 * one to the other, both ways, before the host's network stack sees it. The guest gets the link's name, MAC address,
 * MTU, addresses, routes and permanent neighbours, so that inside everything is as the engine has set it up.
 */
#ifndef RUNTIME_NETWORK_H
#define RUNTIME_NETWORK_H

#include <jansson.h>
#include <net/if.h>
#include <stdbool.h>
#include <sys/types.h>

#include "agent/proto/agent.pb-c.h"
#include "lib/err.h"

#define NETWORK_LINKS_MAX 8 /* CONFIG_NETS_MAX of the VMM */

struct network_link {
	char name[IFNAMSIZ];
	int index;
	uint32_t mtu;
	uint8_t mac[6];
	bool is_tap; /* itself: a process of the host is at its other end (slirp4netns, pasta) */
	int tap; /* owned */
};

/* A tap of ours that was in the namespace already. */
struct network_tap {
	int link;	/* the index of the link that it was made for */
	bool known;	/* mac is the link's address */
	uint8_t mac[6];
};

struct network {
	struct network_link links[NETWORK_LINKS_MAX];
	size_t n;
	struct network_tap taps[NETWORK_LINKS_MAX];
	size_t ntaps;
	Cella__Agent__Network *message; /* owned; NULL: the namespace has no links */
};

/* Whether config.json's network namespace exists before the container: then it may have links. NULL if not. */
const char *network_namespace_path(const json_t *config);

/*
 * A process in the network namespace at namespace_path, or in a new one (NULL), or in the caller's (""): hooks are told
 * of it before anything else of the container exists. It is killed when its parent ends. A pid or -errno.
 */
pid_t network_hold(const char *namespace_path, struct err *err) must_check;

/* Whether config.json wants the host's network (it has no network namespace), which a VM cannot share. */
bool network_is_the_hosts(const json_t *config);

/* Whether config.json wants a new network namespace, and: the one that is wanted is at this path. */
bool network_is_new(const json_t *config);
void network_set_namespace_path(json_t *config, const char *path);

/*
 * Whether published ports may be served within the namespace, as rootless engines do and others with slirp4netns (forward.h).
 * Engines give a container that has a user namespace its network only after it was created: it is not known then.
 */
bool network_forwards_ports(const struct network *network, const json_t *config);

/* 0 or -errno. */
int network_take_over(struct network *network, const char *namespace_path, struct err *err) must_check;

/* Does something in a network namespace, in a thread of its own, with an rtnetlink socket there. */
int network_within(const char *namespace_path, int (*act)(int fd, void *ctx, struct err *err), void *ctx,
		   struct err *err) must_check;

bool network_has_tap(const struct network *network, int link);

/* /dev/net, for making taps. A descriptor or -errno. */
int network_open_tun_dir(struct err *err) must_check;

/* Closes the taps: with the VMM's copies they go away. */
void network_release(struct network *network);

/*
 * Lets the host's stack have the namespace's links again, once the VM and its taps are gone. namespace_path may be NULL,
 * and name a namespace that is gone: nothing to do. Otherwise as network_take_over.
 */
int network_give_back(const char *namespace_path, struct err *err) must_check;

#endif
