/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams for a socket of the host. */
#include "agent/host_datagrams.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/vsock.h"
#include "lib/cleanup.h"
#include "lib/datagram_frame.h"
#include "lib/log.h"
#include "lib/socket_greeting.h"

#define AT_ONCE 64 /* then the agent's other work has its turn */

struct host_datagrams {
	struct loop *loop; /* borrowed */
	unsigned int port, index;
	int clients; /* owned */
	int host;    /* owned; -1: no connection */
	bool greeted; /* the connection is made, and has its first line */
	struct datagram_frame *out; /* owned, with its bytes; NULL: nothing is on its way */
	size_t sent;
	bool finishing;
};

static void drop(struct host_datagrams *datagrams, const char *why)
{
	if (datagrams->out)
		log_warn_limited("mounts[%u]: a datagram for the host's socket is lost: %s", datagrams->index, why);
	free(ptr_take(&datagrams->out));
	datagrams->sent = 0;
}

static void disconnect(struct host_datagrams *datagrams)
{
	if (datagrams->host < 0)
		return;
	loop_remove(datagrams->loop, datagrams->host);
	fd_close(&datagrams->host);
	datagrams->greeted = false;
}

static void release(struct host_datagrams *datagrams)
{
	disconnect(datagrams);
	loop_remove(datagrams->loop, datagrams->clients);
	close(datagrams->clients);
	free(datagrams->out);
	free(datagrams);
}

/* SCM_CREDENTIALS is there with each, as the socket asks for it (unix(7), SO_PASSCRED). There is no room for descriptors. */
static bool take_ids(struct msghdr *msg, struct datagram_frame *frame)
{
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg);
	struct ucred sender;

	if (!cmsg || cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_CREDENTIALS)
		return false;
	memcpy(&sender, CMSG_DATA(cmsg), sizeof(sender));
	frame->uid = sender.uid;
	frame->gid = sender.gid;
	return true;
}

/* Takes the next one, of len bytes, out of the socket. */
static struct datagram_frame *take(int clients, size_t len)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	auto_free struct datagram_frame *frame = len <= DATAGRAM_MAX ? malloc(sizeof(*frame) + len) : NULL;
	struct iovec iov = { frame ? frame + 1 : NULL, frame ? len : 0 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(clients, &msg, MSG_DONTWAIT);

	if (!frame || n != (ssize_t)len || !take_ids(&msg, frame))
		return NULL;
	frame->len = (uint32_t)len;
	return ptr_take(&frame);
}

/* The next one is on its way then; false: there is none. */
static bool take_next(struct host_datagrams *datagrams)
{
	while (!datagrams->out) {
		ssize_t len = recv(datagrams->clients, NULL, 0, MSG_DONTWAIT | MSG_PEEK | MSG_TRUNC);

		if (len < 0)
			return false;
		datagrams->out = take(datagrams->clients, (size_t)len);
		if (!datagrams->out)
			log_warn_limited("mounts[%u]: a datagram of %zd bytes for the host's socket is lost", datagrams->index, len);
	}
	return true;
}

static bool greet(struct host_datagrams *datagrams)
{
	struct socket_greeting greeting = { .socket = datagrams->index };
	char line[SOCKET_GREETING_MAX + 1];
	size_t len = socket_greeting_write(line, &greeting);

	/* A fresh connection has room for the line. */
	datagrams->greeted = send(datagrams->host, line, len, MSG_NOSIGNAL) == (ssize_t)len;
	return datagrams->greeted;
}

static void advance(struct host_datagrams *datagrams);

static void host_ready(void *ctx, uint32_t events)
{
	struct host_datagrams *datagrams = ctx;

	if (events & (EPOLLERR | EPOLLHUP) || (!datagrams->greeted && !greet(datagrams))) {
		disconnect(datagrams);
		drop(datagrams, "the host did not take it");
	}
	advance(datagrams);
}

static int connect_host(struct host_datagrams *datagrams)
{
	struct err err;
	int ret;

	datagrams->host = vsock_connect_host(datagrams->port, SOCK_NONBLOCK, &err);
	ret = datagrams->host < 0 ? -err.code : loop_add(datagrams->loop, datagrams->host, EPOLLOUT, host_ready, datagrams, &err);
	if (ret < 0) {
		fd_close(&datagrams->host);
		drop(datagrams, err.msg);
	}
	return ret;
}

/* 0: all of it is out; -EAGAIN: it has to wait. */
static int send_out(struct host_datagrams *datagrams)
{
	const size_t all = sizeof(*datagrams->out) + datagrams->out->len;

	while (datagrams->sent < all) {
		ssize_t n = send(datagrams->host, (char *)datagrams->out + datagrams->sent, all - datagrams->sent, MSG_NOSIGNAL);

		if (n < 0)
			return -errno;
		datagrams->sent += (size_t)n;
	}
	free(ptr_take(&datagrams->out));
	datagrams->sent = 0;
	return 0;
}

/* False: the host has to be waited for. */
static bool step(struct host_datagrams *datagrams)
{
	int ret;

	if (datagrams->host < 0)
		return connect_host(datagrams) < 0;
	if (!datagrams->greeted)
		return false;
	ret = send_out(datagrams);
	if (ret < 0 && ret != -EAGAIN) {
		disconnect(datagrams);
		drop(datagrams, strerror(-ret));
	}
	return ret != -EAGAIN;
}

/* Goes on until there is nothing to send, or the host has to be waited for. */
static void advance(struct host_datagrams *datagrams)
{
	bool waits = false, empty = false;

	for (int n = 0; !waits && !empty && (n < AT_ONCE || datagrams->finishing); n++) {
		empty = !take_next(datagrams);
		waits = !empty && !step(datagrams);
	}
	if (empty && datagrams->finishing) {
		release(datagrams);
		return;
	}
	loop_modify(datagrams->loop, datagrams->clients, waits ? 0 : EPOLLIN);
	if (datagrams->host >= 0)
		loop_modify(datagrams->loop, datagrams->host, waits || datagrams->out ? EPOLLOUT : 0);
}

static void clients_ready(void *ctx, uint32_t events)
{
	(void)events;
	advance(ctx);
}

void host_datagrams_finish(struct host_datagrams *datagrams)
{
	/* What is in the socket is still received; who has it open elsewhere in the pod gets EPIPE. */
	(void)shutdown(datagrams->clients, SHUT_RD);
	datagrams->finishing = true;
	advance(datagrams);
}

struct host_datagrams *host_datagrams_new(struct loop *loop, int clients, unsigned int port, unsigned int index, struct err *err)
{
	struct host_datagrams *datagrams = calloc(1, sizeof(*datagrams));
	const int on = 1;

	if (!datagrams) {
		close(clients);
		err_set(err, ENOMEM, "mounts[%u]", index);
		return NULL;
	}
	*datagrams = (struct host_datagrams){ .loop = loop, .port = port, .index = index, .clients = clients, .host = -1 };
	if (setsockopt(clients, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
		err_set(err, errno, "mounts[%u]: SO_PASSCRED", index);
	else if (loop_add(loop, clients, EPOLLIN, clients_ready, datagrams, err) == 0)
		return datagrams;
	close(clients);
	free(datagrams);
	return NULL;
}
