/* SPDX-License-Identifier: Apache-2.0 */
/* Docker's name server, in the guest. */
#include "agent/names.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/ports.h"
#include "agent/vsock.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/log.h"
#include "lib/relay.h"

#define PORT_DNS 53
#define MESSAGE_MAX 4096 /* EDNS payloads are smaller (RFC 6891, 6.2.5) */
#define EXCHANGES_MAX 128
#define TIMEOUT_MS 10000

/* A datagram's query on its way, and its answer. */
struct exchange {
	struct names *names;
	struct exchange *next;
	int fd; /* vsock, owned */
	int64_t deadline_ms;
	struct sockaddr_in client;
	uint8_t message[2 + MESSAGE_MAX]; /* length, then bytes: first the query, then the answer */
	size_t len, done;
	bool answering;
};

struct names {
	struct loop *loop;
	unsigned int port; /* of the host's */
	int datagrams, connections; /* listening; -1: not yet */
	struct exchange *exchanges;
	unsigned int n; /* exchanges and relayed connections */
	bool ended;	/* to be freed with the last of them */
};

static void end_exchange(struct exchange *exchange)
{
	struct names *names = exchange->names;
	struct exchange **at = &names->exchanges;

	while (*at != exchange)
		at = &(*at)->next;
	*at = exchange->next;
	names->n--;
	loop_remove(names->loop, exchange->fd);
	close(exchange->fd);
	free(exchange);
}

/* True when the query is all sent. *failed: it never will be. */
static bool send_query(struct exchange *exchange, bool *failed)
{
	ssize_t n = send(exchange->fd, exchange->message + exchange->done, exchange->len - exchange->done, MSG_NOSIGNAL);

	*failed = n < 0 && errno != EAGAIN;
	exchange->done += n > 0 ? (size_t)n : 0;
	return exchange->done == exchange->len;
}

/* True when there is a whole answer. *failed: there never will be one. */
static bool receive_answer(struct exchange *exchange, bool *failed)
{
	size_t wanted = exchange->done < 2 ? 2 : 2 + (size_t)(exchange->message[0] << 8 | exchange->message[1]);
	ssize_t n;

	if (exchange->done >= 2 && exchange->done == wanted)
		return true;
	*failed = wanted > sizeof(exchange->message);
	if (*failed)
		return false;
	n = recv(exchange->fd, exchange->message + exchange->done, wanted - exchange->done, 0);
	*failed = n == 0 || (n < 0 && errno != EAGAIN);
	exchange->done += n > 0 ? (size_t)n : 0;
	return n > 0 && receive_answer(exchange, failed);
}

static void exchange_ready(void *ctx, uint32_t events)
{
	struct exchange *exchange = ctx;
	bool failed = false;

	(void)events;
	if (!exchange->answering && send_query(exchange, &failed)) {
		exchange->answering = true;
		exchange->done = 0;
		loop_modify(exchange->names->loop, exchange->fd, EPOLLIN);
		return;
	}
	if (exchange->answering && receive_answer(exchange, &failed)) {
		/* One that gets lost is asked for again, as with any datagram. */
		(void)!sendto(exchange->names->datagrams, exchange->message + 2, exchange->done - 2, 0,
			      (struct sockaddr *)&exchange->client, sizeof(exchange->client));
		failed = true;
	}
	if (failed)
		end_exchange(exchange);
}

/* Those that nobody answers make room. */
static bool has_room(struct names *names)
{
	int64_t now = io_now_ms();

	for (struct exchange *exchange = names->exchanges, *next; exchange; exchange = next) {
		next = exchange->next;
		if (exchange->deadline_ms < now)
			end_exchange(exchange);
	}
	return names->n < EXCHANGES_MAX;
}

static void start_exchange(struct names *names, const uint8_t *query, size_t len, const struct sockaddr_in *client)
{
	struct exchange *exchange = has_room(names) ? calloc(1, sizeof(*exchange)) : NULL;
	struct err err;
	int fd = exchange ? vsock_connect_host(names->port, SOCK_NONBLOCK, &err) : -1;

	if (fd < 0 || loop_add(names->loop, fd, EPOLLOUT, exchange_ready, exchange, &err) < 0) {
		log_warn_limited("a query for a name is dropped");
		if (fd >= 0)
			close(fd);
		free(exchange);
		return;
	}
	exchange->names = names;
	exchange->fd = fd;
	exchange->deadline_ms = io_now_ms() + TIMEOUT_MS;
	exchange->client = *client;
	exchange->message[0] = (uint8_t)(len >> 8);
	exchange->message[1] = (uint8_t)len;
	memcpy(exchange->message + 2, query, len);
	exchange->len = len + 2;
	exchange->next = names->exchanges;
	names->exchanges = exchange;
	names->n++;
}

static void datagram_ready(void *ctx, uint32_t events)
{
	struct names *names = ctx;
	struct sockaddr_in client;
	socklen_t len = sizeof(client);
	uint8_t query[MESSAGE_MAX];
	ssize_t n = recvfrom(names->datagrams, query, sizeof(query), MSG_DONTWAIT, (struct sockaddr *)&client, &len);

	(void)events;
	if (n > 0)
		start_exchange(names, query, (size_t)n, &client);
}

static void leave(struct names *names)
{
	names->n--;
	if (names->ended && names->n == 0)
		free(names);
}

static void relay_done(void *ctx)
{
	leave(ctx);
}

/* A connection of a client's whose way to the host is being made. */
struct opening {
	struct names *names;
	int client, host; /* owned */
};

static void host_ready(void *ctx, uint32_t events)
{
	struct opening *opening = ctx;
	struct names *names = opening->names;
	struct err err;

	loop_remove(names->loop, opening->host);
	if (events & (EPOLLERR | EPOLLHUP)) {
		close(opening->client);
		close(opening->host);
		leave(names);
	} else if (!relay_new(names->loop, opening->client, opening->host, RELAY_BOTH, relay_done, names, &err)) {
		log_warn_limited("%s", err.msg);
		leave(names);
	}
	free(opening);
}

static void connection_ready(void *ctx, uint32_t events)
{
	struct names *names = ctx;
	int client = accept4(names->connections, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct err err;
	int host = client >= 0 && has_room(names) ? vsock_connect_host(names->port, SOCK_NONBLOCK, &err) : -1;
	struct opening *opening = host >= 0 ? calloc(1, sizeof(*opening)) : NULL;

	(void)events;
	if (!opening || loop_add(names->loop, host, EPOLLOUT, host_ready, opening, &err) < 0) {
		if (client >= 0)
			close(client);
		if (host >= 0)
			close(host);
		free(opening);
		return;
	}
	*opening = (struct opening){ names, client, host };
	names->n++;
}

static int bind_server(int type, struct err *err)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(PORT_DNS),
		.sin_addr.s_addr = htonl(NAMES_ADDRESS),
	};
	auto_fd fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || (type == SOCK_STREAM && listen(fd, 16) < 0))
		return err_set(err, errno, "serve names at 127.0.0.11");
	return fd_take(&fd);
}

int names_serve(struct names *names, struct err *err)
{
	auto_fd datagrams = -1, connections = -1;

	if (names->datagrams >= 0)
		return 0;
	datagrams = bind_server(SOCK_DGRAM, err);
	connections = datagrams < 0 ? -1 : bind_server(SOCK_STREAM, err);
	if (connections < 0 || loop_add(names->loop, connections, EPOLLIN, connection_ready, names, err) < 0)
		return -err->code;
	if (loop_add(names->loop, datagrams, EPOLLIN, datagram_ready, names, err) < 0) {
		loop_remove(names->loop, connections);
		return -err->code;
	}
	names->datagrams = fd_take(&datagrams);
	names->connections = fd_take(&connections);
	return 0;
}

struct names *names_new(struct loop *loop, unsigned int network, struct err *err)
{
	struct names *names = calloc(1, sizeof(*names));

	if (!names) {
		err_set(err, ENOMEM, "name server");
		return NULL;
	}
	names->loop = loop;
	names->port = PORT_OF_NETWORK(PORT_NAMES, network);
	names->datagrams = names->connections = -1;
	return names;
}

void names_free(struct names *names)
{
	if (!names)
		return;
	if (names->datagrams >= 0) {
		loop_remove(names->loop, names->datagrams);
		loop_remove(names->loop, names->connections);
		close(names->datagrams);
		close(names->connections);
	}
	while (names->exchanges)
		end_exchange(names->exchanges);
	names->ended = true;
	if (names->n == 0)
		free(names);
}
