/* SPDX-License-Identifier: Apache-2.0 */
/* Connections from the host's side of the network namespace. */
#include "agent/forward.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/ports.h"
#include "agent/vsock.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/relay.h"

#define FORWARDS_MAX 256

/* One that is not joined yet. */
struct forward {
	struct loop *loop;
	struct ttrpc *conn; /* NULL: nobody waits any more */
	uint32_t stream;
	uint64_t number;
	unsigned int port; /* of the host's */
	int local, host; /* owned; host -1: the local one is not there yet */
	struct forward *next;
};

static struct forward *pending;
static unsigned int npending;

static void remove_forward(struct forward *forward)
{
	struct forward **at = &pending;

	while (*at != forward)
		at = &(*at)->next;
	*at = forward->next;
	npending--;
	if (forward->local >= 0)
		close(forward->local);
	if (forward->host >= 0)
		close(forward->host);
	free(forward);
}

static void fail(struct forward *forward, int error)
{
	if (forward->conn)
		ttrpc_reply_error(forward->conn, forward->stream, ttrpc_code_from_errno(error), strerror(error));
	remove_forward(forward);
}

static int socket_error(int fd)
{
	socklen_t len = sizeof(int);
	int error = 0;

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 ? errno : error;
}

static void relay_done(void *ctx)
{
	(void)ctx;
}

static void host_ready(void *ctx, uint32_t events)
{
	struct forward *forward = ctx;
	Cella__Agent__Empty empty = CELLA__AGENT__EMPTY__INIT;
	int error = socket_error(forward->host), n;
	char line[32];
	struct err err;

	(void)events;
	loop_remove(forward->loop, forward->host);
	n = snprintf(line, sizeof(line), "%" PRIu64 "\n", forward->number);
	if (error || send(forward->host, line, (size_t)n, MSG_NOSIGNAL) != n) {
		fail(forward, error ? error : EPIPE);
		return;
	}
	if (forward->conn)
		ttrpc_reply(forward->conn, forward->stream, &empty.base);
	if (!relay_new(forward->loop, fd_take(&forward->local), fd_take(&forward->host), RELAY_BOTH, relay_done, NULL, &err))
		log_warn_limited("%s", err.msg);
	remove_forward(forward);
}

static void local_ready(void *ctx, uint32_t events)
{
	struct forward *forward = ctx;
	int error = socket_error(forward->local);
	struct err err;

	(void)events;
	loop_remove(forward->loop, forward->local);
	if (error) {
		fail(forward, error);
		return;
	}
	forward->host = vsock_connect_host(forward->port, SOCK_NONBLOCK, &err);
	if (forward->host < 0)
		fail(forward, err.code);
	else if (loop_add(forward->loop, forward->host, EPOLLOUT, host_ready, forward, &err) < 0)
		fail(forward, err.code);
}

static int connect_local(const Cella__Agent__ConnectRequest *request, struct err *err)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)request->port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)request->port) };
	bool is_v4 = request->address.len == sizeof(v4.sin_addr);
	auto_fd fd = -1;
	int ret;

	if ((!is_v4 && request->address.len != sizeof(v6.sin6_addr)) || request->port == 0 || request->port > UINT16_MAX)
		return err_msg(err, EINVAL, "address or port");
	memcpy(is_v4 ? (void *)&v4.sin_addr : (void *)&v6.sin6_addr, request->address.data, request->address.len);
	fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(err, errno, "create a socket");
	ret = is_v4 ? connect(fd, (struct sockaddr *)&v4, sizeof(v4)) : connect(fd, (struct sockaddr *)&v6, sizeof(v6));
	return ret < 0 && errno != EINPROGRESS ? err_set(err, errno, "connect") : fd_take(&fd);
}

int forward_connect(struct loop *loop, const Cella__Agent__ConnectRequest *request, unsigned int network, struct ttrpc *conn,
		    uint32_t stream, struct err *err)
{
	struct forward *forward;
	int local;

	if (npending == FORWARDS_MAX)
		return err_msg(err, EBUSY, "more than %d connections are being made", FORWARDS_MAX);
	local = connect_local(request, err);
	if (local < 0)
		return local;
	forward = calloc(1, sizeof(*forward));
	if (!forward || loop_add(loop, local, EPOLLOUT, local_ready, forward, err) < 0) {
		free(forward);
		close(local);
		return err_set(err, ENOMEM, "connect");
	}
	*forward = (struct forward){
		.loop = loop,
		.conn = conn,
		.stream = stream,
		.number = request->number,
		.port = PORT_OF_NETWORK(PORT_FORWARD, network),
		.local = local,
		.host = -1,
		.next = pending,
	};
	pending = forward;
	npending++;
	return 0;
}

void forward_connection_ended(struct ttrpc *conn)
{
	for (struct forward *forward = pending; forward; forward = forward->next)
		if (forward->conn == conn)
			forward->conn = NULL;
}
