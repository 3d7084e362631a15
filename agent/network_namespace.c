/* SPDX-License-Identifier: Apache-2.0 */
/* Into network namespaces and back. */
#include "agent/network_namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/guest.h"
#include "lib/cleanup.h"
#include "lib/log.h"

static int of_guest = -1; /* opened by whoever leaves it first */

static int open_current(struct err *err)
{
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? err_set(err, errno, "open the network namespace") : fd;
}

int network_namespace_of_guest(struct err *err)
{
	if (of_guest < 0)
		of_guest = open_current(err);
	return of_guest;
}

/* Whoever cannot go back would set up the next container in the wrong network: without the agent the VM ends. */
static void go_back(void)
{
	if (setns(of_guest, CLONE_NEWNET) < 0) {
		log_error("back to the guest's network: %s", strerror(errno));
		exit(1);
	}
}

int network_namespace_new(struct err *err)
{
	auto_fd fd = -1;

	if (network_namespace_of_guest(err) < 0)
		return -err->code;
	if (unshare(CLONE_NEWNET) < 0)
		return err_set(err, errno, "create a network namespace");
	fd = open_current(err);
	if (fd >= 0 && guest_loopback_up(err) < 0)
		fd_close(&fd);
	go_back();
	return fd < 0 ? -err->code : fd_take(&fd);
}

int network_namespace_enter(int network, struct err *err)
{
	if (network == NETWORK_OF_GUEST)
		return 0;
	if (network_namespace_of_guest(err) < 0)
		return -err->code;
	return setns(network, CLONE_NEWNET) < 0 ? err_set(err, errno, "enter the container's network namespace") : 0;
}

void network_namespace_leave(int network)
{
	if (network != NETWORK_OF_GUEST)
		go_back();
}
