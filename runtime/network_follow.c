/* SPDX-License-Identifier: Apache-2.0 */
/* The stand-in's watch on its network namespace. */
#include "runtime/network_follow.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/netlink.h"
#include "runtime/agent_client.h"
#include "runtime/names.h"
#include "runtime/network_scan.h"

/* docker's name server begins some time after the links are there, and no event tells of it. */
#define RECHECK_MS 500
#define RECHECKS 10

#define SETTLE_MS 30 /* engines make a link, move it, name it, give it addresses, one request at a time */

static int call_agent(void *ctx, const char *method, const ProtobufCMessage *request, struct err *err)
{
	struct network_follow *follow = ctx;

	return ttrpc_call_wait(follow->agent, follow->loop, AGENT_SERVICE, method, request,
			       &cella__agent__empty__descriptor, NULL, AGENT_TIMEOUT_MS, err);
}

static int open_events(struct err *err)
{
	struct sockaddr_nl groups = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE,
	};
	auto_fd fd = netlink_open(err);

	if (fd < 0)
		return fd_take(&fd);
	if (bind(fd, (struct sockaddr *)&groups, sizeof(groups)) < 0)
		return err_set(err, errno, "listen for changes of the network");
	return fd_take(&fd);
}

int network_follow_prepare(struct network_follow *follow, int control, const struct standin_job *job, struct err *err)
{
	char path[PATH_MAX + 16];

	*follow = (struct network_follow){ .guest = { .control = control, .tun_dir = -1, .call = call_agent } };
	follow->guest.ctx = follow;
	network_guest_name(&follow->guest, job->id, job->network);
	snprintf(path, sizeof(path), "%s/" NETWORK_LOCK, job->directory);
	follow->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	follow->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (follow->lock < 0 || follow->timer < 0)
		return err_set(err, errno, "follow the network");
	follow->events = open_events(err);
	if (follow->events < 0)
		return follow->events;
	follow->requests = netlink_open(err);
	if (follow->requests < 0)
		return follow->requests;
	follow->guest.tun_dir = network_open_tun_dir(err);
	if (follow->guest.tun_dir < 0)
		return -err->code;
	follow->guest.proc_dir = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return follow->guest.proc_dir < 0 ? err_set(err, errno, "open /proc") : 0;
}

static struct network_known *find_known(struct network_follow *follow, int index)
{
	for (size_t i = 0; i < follow->nknown; i++)
		if (follow->known[i].index == index)
			return &follow->known[i];
	return NULL;
}

static void remember(struct network_follow *follow, const struct network *network)
{
	follow->nknown = 0;
	for (size_t i = 0; i < network->n; i++)
		follow->known[follow->nknown++] = (struct network_known){
			.index = network->links[i].index,
			.hash = network_hash(network, &network->links[i]),
		};
}

/* Of links that the guest has already. */
static int tell_changes(struct network_follow *follow, const struct network *network, struct err *err)
{
	for (size_t i = 0; i < network->n; i++) {
		const struct network_link *link = &network->links[i];
		const struct network_known *known = find_known(follow, link->index);

		if (known && (known->hash != network_hash(network, link) || (network->message->names && !follow->told_of_names)) &&
		    network_tell_agent(network, link, &follow->guest, err) < 0)
			return -err->code;
	}
	return 0;
}

static int sync_now(struct network_follow *follow, struct err *err)
{
	struct network network = { .n = 0 };
	int ret;

	if (flock(follow->lock, LOCK_EX) < 0)
		return err_set(err, errno, "lock the network");
	ret = network_sync(&network, &follow->guest, follow->requests, err);
	if (ret == 0)
		ret = tell_changes(follow, &network, err);
	flock(follow->lock, LOCK_UN);
	if (ret == 0) {
		remember(follow, &network);
		follow->told_of_names = network.message && network.message->names;
	}
	network_release(&network);
	return ret;
}

static void look_after(struct network_follow *follow, int ms)
{
	struct itimerspec later = { .it_value.tv_nsec = ms * 1000000L };

	if (timerfd_settime(follow->timer, 0, &later, NULL) < 0)
		log_warn_limited("follow the network: %s", strerror(errno));
}

static void settled(void *ctx, uint32_t events)
{
	struct network_follow *follow = ctx;
	bool changed = follow->changed;
	uint64_t count;
	struct err err;

	(void)events;
	if (read(follow->timer, &count, sizeof(count)) != sizeof(count))
		return;
	if (follow->busy) {
		look_after(follow, SETTLE_MS);
		return;
	}
	follow->changed = false;
	if (changed)
		follow->rechecks = RECHECKS;
	follow->busy = true;
	/* The engine that changed the network has long gone on: the log is where a failure can be told. */
	if ((changed || (!follow->told_of_names && names_are_served(follow->guest.proc_dir))) && sync_now(follow, &err) < 0)
		log_warn("the network has changed, and the VM could not follow: %s", err.msg);
	follow->busy = false;
	if (!follow->told_of_names && follow->nknown && follow->rechecks > 0) {
		follow->rechecks--;
		look_after(follow, RECHECK_MS);
	}
}

static void something_changed(void *ctx, uint32_t events)
{
	struct network_follow *follow = ctx;
	char ignored[8192];

	(void)events;
	/* ENOBUFS: some were lost, which makes no difference here. */
	while (recv(follow->events, ignored, sizeof(ignored), MSG_DONTWAIT) > 0 || errno == ENOBUFS)
		;
	follow->changed = true;
	look_after(follow, SETTLE_MS);
}

int network_follow_start(struct network_follow *follow, struct loop *loop, struct ttrpc *agent, struct err *err)
{
	struct network network = { .n = 0 };
	int ret = network_scan(&network, follow->requests, follow->guest.proc_dir, err);

	follow->loop = loop;
	follow->agent = agent;
	if (ret == 0)
		remember(follow, &network);
	network_release(&network);
	if (follow->nknown) {
		follow->rechecks = RECHECKS;
		look_after(follow, RECHECK_MS);
	}
	if (ret == 0)
		ret = loop_add(loop, follow->events, EPOLLIN, something_changed, follow, err);
	return ret == 0 ? loop_add(loop, follow->timer, EPOLLIN, settled, follow, err) : ret;
}
