/* SPDX-License-Identifier: Apache-2.0 */
/* Connections within the namespace, handed to the guest. */
#include "runtime/forward.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/ports.h"
#include "agent/proto/agent.pb-c.h"
#include "lib/cleanup.h"
#include "lib/fdpass.h"
#include "lib/first_line.h"
#include "lib/log.h"
#include "lib/relay.h"
#include "runtime/agent_client.h"
#include "runtime/redirect.h"

#define CONNECTIONS_MAX 512
#define GREETING_MAX 24 /* a number and a newline */

struct forward_client {
	struct forward *forward;
	uint64_t number;
	int fd; /* owned; -1: joined, or refused */
	bool answered; /* the agent has */
	struct forward_client *next;
};

static int listen_loopback(int family, uint16_t *ret_port, struct err *err)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr *addr = family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
	socklen_t len = family == AF_INET ? sizeof(v4) : sizeof(v6);
	auto_fd fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, addr, len) < 0 || listen(fd, 64) < 0 || getsockname(fd, addr, &len) < 0)
		return err_set(err, errno, "listen on the loopback interface");
	*ret_port = family == AF_INET ? ntohs(v4.sin_port) : ntohs(v6.sin6_port);
	return fd_take(&fd);
}

int forward_prepare(struct forward *forward, const struct standin_job *job, struct err *err)
{
	char path[PATH_MAX + 32];
	struct err ignored;
	uint16_t port;

	*forward = (struct forward){ .clients = { -1, -1 }, .guest = -1, .container = job->network ? job->id : "" };
	snprintf(path, sizeof(path), "%s/vsock_%u", job->vm_dir, PORT_OF_NETWORK(PORT_FORWARD, job->network));
	forward->clients[0] = listen_loopback(AF_INET, &port, err);
	if (forward->clients[0] < 0 || redirect_loopback(AF_INET, port, err) < 0)
		return -err->code;
	forward->clients[1] = listen_loopback(AF_INET6, &port, &ignored);
	if (forward->clients[1] >= 0 && redirect_loopback(AF_INET6, port, err) < 0)
		return -err->code;
	forward->guest = fdpass_listen(path, 64, err);
	return forward->guest < 0 ? -err->code : 0;
}

static void relay_done(void *ctx)
{
	((struct forward *)ctx)->n--;
}

static struct forward_client *take(struct forward *forward, uint64_t number)
{
	for (struct forward_client **at = &forward->waiting; *at; at = &(*at)->next)
		if ((*at)->number == number) {
			struct forward_client *client = *at;

			*at = client->next;
			return client;
		}
	return NULL;
}

/* The client learns in the same way as from a host where nobody listens. */
static void refuse(int fd)
{
	struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(fd);
}

static void agent_answered(void *ctx, const struct err *err, const uint8_t *payload, size_t len)
{
	struct forward_client *client = ctx;

	(void)payload;
	(void)len;
	client->answered = true;
	if (client->fd < 0) { /* the guest's end was here first */
		free(client);
	} else if (err) {
		take(client->forward, client->number);
		client->forward->n--;
		refuse(client->fd);
		free(client);
	}
}

/* Owns the guest's end. */
static void join(struct forward *forward, int guest, uint64_t number)
{
	struct forward_client *client = take(forward, number);
	struct err err;

	if (!client) {
		close(guest);
		return;
	}
	if (!relay_new(forward->loop, client->fd, guest, RELAY_BOTH, relay_done, forward, &err)) {
		log_warn_limited("%s", err.msg);
		forward->n--;
	}
	client->fd = -1;
	if (client->answered)
		free(client);
}

static void guest_said(void *ctx, int fd, char *line)
{
	if (line)
		join(ctx, fd, strtoull(line, NULL, 10));
	else
		close(fd);
}

static void guest_arrives(void *ctx, uint32_t events)
{
	struct forward *forward = ctx;
	int fd = accept4(forward->guest, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct err err;

	(void)events;
	if (fd < 0)
		return;
	/* A guest that connects without being asked to gets no further than those that were. */
	if (!forward->waiting)
		close(fd);
	else if (first_line_read(forward->loop, fd, GREETING_MAX, guest_said, forward, &err) < 0)
		log_warn_limited("%s", err.msg);
}

/* Where the client wanted to go before netfilter led it here. */
static int original_destination(int fd, Cella__Agent__ConnectRequest *request, struct sockaddr_storage *addr)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)addr;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)addr;
	socklen_t len = sizeof(*addr);

	if (getsockopt(fd, SOL_IP, SO_ORIGINAL_DST, addr, &len) == 0) {
		request->address.data = (uint8_t *)&v4->sin_addr;
		request->address.len = sizeof(v4->sin_addr);
		request->port = ntohs(v4->sin_port);
		return 0;
	}
	len = sizeof(*addr);
	if (getsockopt(fd, SOL_IPV6, IP6T_SO_ORIGINAL_DST, addr, &len) < 0)
		return -errno;
	request->address.data = (uint8_t *)&v6->sin6_addr;
	request->address.len = sizeof(v6->sin6_addr);
	request->port = ntohs(v6->sin6_port);
	return 0;
}

static int hand_over(struct forward *forward, int fd, struct err *err)
{
	Cella__Agent__ConnectRequest request = CELLA__AGENT__CONNECT_REQUEST__INIT;
	struct forward_client *client = calloc(1, sizeof(*client));
	struct sockaddr_storage addr;

	if (!client || original_destination(fd, &request, &addr) < 0) {
		free(client);
		return err_set(err, client ? EIO : ENOMEM, "a connection");
	}
	request.number = ++forward->number;
	request.container = (char *)forward->container;
	*client = (struct forward_client){ forward, request.number, fd, false, forward->waiting };
	if (ttrpc_call(forward->agent, AGENT_SERVICE, "Connect", &request.base, agent_answered, client, err) < 0) {
		free(client);
		return -err->code;
	}
	forward->waiting = client;
	forward->n++;
	return 0;
}

static void accept_client(struct forward *forward, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct err err;

	if (fd < 0)
		return;
	if (forward->n == CONNECTIONS_MAX) {
		log_warn_limited("more than %d connections to the guest's own addresses", CONNECTIONS_MAX);
		refuse(fd);
	} else if (hand_over(forward, fd, &err) < 0) {
		log_warn_limited("%s", err.msg);
		refuse(fd);
	}
}

static void client_arrives(void *ctx, uint32_t events)
{
	struct forward *forward = ctx;

	(void)events;
	for (size_t i = 0; i < ARRAY_SIZE(forward->clients); i++)
		if (forward->clients[i] >= 0)
			accept_client(forward, forward->clients[i]);
}

int forward_start(struct forward *forward, struct loop *loop, struct ttrpc *agent, struct err *err)
{
	int ret = 0;

	forward->loop = loop;
	forward->agent = agent;
	for (size_t i = 0; i < ARRAY_SIZE(forward->clients) && ret == 0; i++)
		if (forward->clients[i] >= 0)
			ret = loop_add(loop, forward->clients[i], EPOLLIN, client_arrives, forward, err);
	return ret == 0 ? loop_add(loop, forward->guest, EPOLLIN, guest_arrives, forward, err) : ret;
}
