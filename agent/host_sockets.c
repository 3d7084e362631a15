/* SPDX-License-Identifier: Apache-2.0 */
/* The way to sockets of the host. */
#include "agent/host_sockets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/host_datagrams.h"
#include "agent/vsock.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/relay.h"
#include "lib/socket_greeting.h"

#define CONNECTIONS_MAX 256

/* One that takes datagrams. */
struct host_socket {
	struct host_socket *next;
	struct host_datagrams *datagrams; /* NULL: it takes none any more */
	char path[HOST_SOCKET_PATH_MAX];
};

struct host_sockets {
	struct loop *loop; /* borrowed */
	unsigned int port;
	struct host_socket *list;
	unsigned int connections; /* made or being made */
	bool ended;		  /* to be freed with the last of them */
};

/* A client whose way to the host is being made. */
struct opening {
	struct host_sockets *sockets;
	int client, host; /* owned */
	char line[SOCKET_GREETING_MAX + 1];
	size_t len;
};

static void leave(void *ctx)
{
	struct host_sockets *sockets = ctx;

	sockets->connections--;
	if (sockets->ended && sockets->connections == 0)
		free(sockets);
}

static void host_ready(void *ctx, uint32_t events)
{
	struct opening *opening = ctx;
	struct host_sockets *sockets = opening->sockets;
	struct err err;

	loop_remove(sockets->loop, opening->host);
	/* A fresh connection has room for the line. */
	if (events & (EPOLLERR | EPOLLHUP) ||
	    send(opening->host, opening->line, opening->len, MSG_NOSIGNAL) != (ssize_t)opening->len) {
		log_warn_limited("the host did not take a connection to a socket of its own");
		close(opening->client);
		close(opening->host);
		leave(sockets);
	} else if (!relay_new(sockets->loop, opening->client, opening->host, RELAY_BOTH, leave, sockets, &err)) {
		log_warn_limited("%s", err.msg);
		leave(sockets);
	}
	free(opening);
}

static int open_way(struct host_sockets *sockets, int client, const struct socket_greeting *greeting, struct err *err)
{
	auto_free struct opening *opening = calloc(1, sizeof(*opening));
	auto_fd host = -1;

	if (!opening)
		return err_set(err, ENOMEM, "connect to a socket of the host");
	if (sockets->connections == CONNECTIONS_MAX)
		return err_msg(err, EBUSY, "more than %d connections to sockets of the host", CONNECTIONS_MAX);
	host = vsock_connect_host(sockets->port, SOCK_NONBLOCK, err);
	if (host < 0 || loop_add(sockets->loop, host, EPOLLOUT, host_ready, opening, err) < 0)
		return -err->code;
	opening->sockets = sockets;
	opening->client = client;
	opening->host = fd_take(&host);
	opening->len = socket_greeting_write(opening->line, greeting);
	(void)ptr_take(&opening); /* host_ready has it */
	sockets->connections++;
	return 0;
}

void host_sockets_lead(struct host_sockets *sockets, int client, struct socket_greeting *greeting)
{
	int ret = socket_greeting_of_peer(greeting, client);
	struct err err;

	if (ret < 0)
		err_set(&err, -ret, "who connects to a socket of the host");
	else
		ret = open_way(sockets, client, greeting, &err);
	if (ret < 0) {
		log_warn_limited("%s", err.msg);
		close(client);
	}
}

void host_sockets_finish(struct host_sockets *sockets)
{
	for (struct host_socket *socket = sockets ? sockets->list : NULL; socket; socket = socket->next)
		if (socket->datagrams)
			host_datagrams_finish(ptr_take(&socket->datagrams));
}

static int bind_at(const char *path, const Cella__Agent__HostSocket *of, struct err *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	auto_fd fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || chown(path, of->uid, of->gid) < 0 ||
	    chmod(path, of->mode & 07777) < 0)
		return err_set(err, errno, "a socket in place of the host's");
	return fd_take(&fd);
}

int host_sockets_add(struct host_sockets *sockets, unsigned int index, const Cella__Agent__HostSocket *of,
		     char path[HOST_SOCKET_PATH_MAX], struct err *err)
{
	static unsigned int last;
	auto_free struct host_socket *socket = calloc(1, sizeof(*socket));
	auto_fd fd = -1;

	if (!socket)
		return err_set(err, ENOMEM, "mounts[%u]", index);
	socket->next = sockets->list;
	snprintf(socket->path, sizeof(socket->path), HOST_SOCKETS_DIRECTORY "/%u", ++last);
	fd = bind_at(socket->path, of, err);
	if (fd >= 0)
		socket->datagrams = host_datagrams_new(sockets->loop, fd_take(&fd), sockets->port, index, err);
	if (!socket->datagrams) {
		unlink(socket->path);
		return err_wrap(err, "mounts[%u]", index);
	}
	strcpy(path, socket->path);
	sockets->list = ptr_take(&socket);
	return 0;
}

struct host_sockets *host_sockets_new(struct loop *loop, unsigned int port, struct err *err)
{
	struct host_sockets *sockets;

	if (mkdir(HOST_SOCKETS_DIRECTORY, 0711) < 0 && errno != EEXIST) {
		err_set(err, errno, "create " HOST_SOCKETS_DIRECTORY);
		return NULL;
	}
	sockets = calloc(1, sizeof(*sockets));
	if (!sockets) {
		err_set(err, ENOMEM, "sockets of the host");
		return NULL;
	}
	sockets->loop = loop;
	sockets->port = port;
	return sockets;
}

void host_sockets_free(struct host_sockets *sockets)
{
	struct host_socket *socket;

	if (!sockets)
		return;
	while ((socket = sockets->list)) {
		sockets->list = socket->next;
		if (socket->datagrams)
			host_datagrams_finish(socket->datagrams);
		unlink(socket->path);
		free(socket);
	}
	sockets->ended = true;
	if (sockets->connections == 0)
		free(sockets);
}
