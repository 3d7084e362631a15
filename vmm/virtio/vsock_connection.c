/* SPDX-License-Identifier: Apache-2.0 */
/* A vsock connection's socket: dialling and being dialled, the handshake, bytes that wait for it. */
#include "vmm/virtio/vsock_connection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/log.h"

static void socket_ready(void *ctx, uint32_t events);

/* The socket is watched for input only while there is room for it, and for output only while bytes are pending. */
void connection_watch(struct connection *conn)
{
	uint32_t events = 0;

	if (conn->fd < 0)
		return;
	if (conn->state == STATE_HANDSHAKE ||
	    (conn->state == STATE_ESTABLISHED && !(conn->due & DUE_LINE) && !conn->waits && !conn->socket_ended &&
	     !conn->guest_wants_no_more))
		events |= EPOLLIN;
	if (conn->pending_len)
		events |= EPOLLOUT;
	if (conn->unwatched && events) {
		struct err err;

		if (loop_add(conn->vsock->loop, conn->fd, events, socket_ready, conn, &err) < 0) {
			conn->due = DUE_RESET;
			return;
		}
		conn->unwatched = false;
	} else if (events != conn->watched) {
		loop_modify(conn->vsock->loop, conn->fd, events);
	}
	conn->watched = events;
}

void connection_close(struct connection *conn)
{
	if (conn->fd < 0)
		return;
	if (!conn->unwatched)
		loop_remove(conn->vsock->loop, conn->fd);
	close(conn->fd);
	conn->fd = -1;
}

void connection_free(struct connection *conn)
{
	struct connection **at = &conn->vsock->connections;

	while (*at != conn)
		at = &(*at)->next;
	*at = conn->next;
	conn->vsock->nconnections--;
	connection_close(conn);
	free(conn->pending);
	free(conn->line);
	free(conn);
}

struct connection *connection_new(struct vsock *vsock, int fd, enum state state)
{
	struct connection *conn;
	struct err err;

	if (vsock->nconnections >= VSOCK_CONNECTIONS_MAX)
		return NULL;
	conn = calloc(1, sizeof(*conn));
	if (!conn)
		return NULL;
	conn->vsock = vsock;
	conn->fd = fd;
	conn->state = state;
	conn->watched = EPOLLIN;
	if (loop_add(vsock->loop, fd, conn->watched, socket_ready, conn, &err) < 0) {
		free(conn);
		return NULL;
	}
	conn->next = vsock->connections;
	vsock->connections = conn;
	vsock->nconnections++;
	return conn;
}

struct connection *connection_find(struct vsock *vsock, uint32_t host_port, uint32_t guest_port)
{
	struct connection *conn = vsock->connections;

	while (conn && (conn->state == STATE_HANDSHAKE || conn->host_port != host_port || conn->guest_port != guest_port))
		conn = conn->next;
	return conn;
}

static uint32_t free_host_port(struct vsock *vsock)
{
	for (;;) {
		uint32_t port = vsock->next_host_port++;
		struct connection *conn = vsock->connections;

		if (vsock->next_host_port >= 0x80000000u)
			vsock->next_host_port = HOST_PORT_FIRST;
		while (conn && conn->host_port != port)
			conn = conn->next;
		if (!conn)
			return port; /* found within VSOCK_CONNECTIONS_MAX + 1 steps */
	}
}

void connection_ended(struct connection *conn, bool gone)
{
	uint32_t flags = gone ? VIRTIO_VSOCK_SHUTDOWN_SEND | VIRTIO_VSOCK_SHUTDOWN_RCV : VIRTIO_VSOCK_SHUTDOWN_SEND;

	conn->socket_ended = true;
	if ((conn->shutdown_flags | flags) != conn->shutdown_flags) {
		conn->shutdown_flags |= flags;
		conn->due |= DUE_SHUTDOWN;
	}
	if (gone) {
		connection_close(conn);
		conn->pending_len = 0;
		conn->state = STATE_CLOSING;
	}
	connection_watch(conn);
}

static void ask_guest(struct connection *conn, uint32_t port)
{
	conn->guest_port = port;
	conn->host_port = free_host_port(conn->vsock);
	conn->state = STATE_CONNECTING;
	conn->due = DUE_REQUEST;
	connection_watch(conn);
}

/* "CONNECT <port>\n". Returns false when the connection is to be dropped. */
static bool read_handshake(struct connection *conn)
{
	char *end, *rest;
	unsigned long port;

	while (conn->handshake_len < HANDSHAKE_MAX - 1) {
		/* Byte by byte: what follows the newline belongs to the stream. */
		ssize_t n = recv(conn->fd, conn->handshake + conn->handshake_len, 1, MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n <= 0)
			return false;
		if (conn->handshake[conn->handshake_len++] == '\n')
			break;
	}
	conn->handshake[conn->handshake_len] = '\0';
	end = strchr(conn->handshake, '\n');
	if (!end || strncasecmp(conn->handshake, "connect ", 8) || conn->handshake[8] < '0' || conn->handshake[8] > '9')
		return false;
	errno = 0;
	port = strtoul(conn->handshake + 8, &rest, 10);
	if (rest != end || errno || port >= UINT32_MAX)
		return false;
	ask_guest(conn, (uint32_t)port);
	return true;
}

static unsigned int count_led(const struct vsock *vsock)
{
	unsigned int n = 0;

	for (const struct connection *conn = vsock->connections; conn; conn = conn->next)
		n += conn->line != NULL;
	return n;
}

void vsock_connect_guest(struct virtio_device *device, int fd, uint32_t port, const char *line)
{
	struct vsock *vsock = (struct vsock *)device;
	struct connection *conn;

	pthread_mutex_lock(&device->lock);
	conn = count_led(vsock) < VSOCK_LED_MAX ? connection_new(vsock, fd, STATE_HANDSHAKE) : NULL;
	if (conn) {
		conn->line = strdup(line);
		ask_guest(conn, port);
		if (!conn->line)
			connection_free(conn);
		vsock_send_control(vsock);
	} else {
		log_warn_limited("vsock: a connection to the guest is refused: %u are open", vsock->nconnections);
		close(fd);
	}
	pthread_mutex_unlock(&device->lock);
}

bool connection_flush(struct connection *conn)
{
	while (conn->pending_len) {
		uint32_t part = BUFFER - conn->pending_start < conn->pending_len ? BUFFER - conn->pending_start :
										   conn->pending_len;
		ssize_t n = send(conn->fd, conn->pending + conn->pending_start, part, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n < 0)
			return false;
		conn->pending_start = (conn->pending_start + (uint32_t)n) % BUFFER;
		conn->pending_len -= (uint32_t)n;
		conn->fwd_cnt += (uint32_t)n;
	}
	free(ptr_take(&conn->pending));
	conn->pending_start = 0;
	if (conn->reset_when_flushed) {
		connection_close(conn);
		conn->due = DUE_RESET;
		return true;
	}
	return !conn->guest_sends_no_more || shutdown(conn->fd, SHUT_WR) == 0;
}

/*
 * Linux takes no more of our credit than it gives itself ("vsock/virtio: cap TX credit to local buffer size"): a guest with a
 * smaller buffer waits long before half of ours is used.
 */
void connection_offer_credit(struct connection *conn)
{
	uint32_t used = conn->guest_buf_alloc < BUFFER ? conn->guest_buf_alloc : BUFFER;

	if (conn->state == STATE_ESTABLISHED && conn->fwd_cnt != conn->fwd_cnt_told && conn->fwd_cnt - conn->fwd_cnt_told >= used / 2)
		conn->due |= DUE_CREDIT;
}

static void socket_input(struct connection *conn)
{
	struct vsock *vsock = conn->vsock;
	struct virtqueue_chain chain;

	if (vsock_guest_credit(conn) == 0 || vsock_take_buffer(vsock, &chain) <= 0) {
		conn->waits = true;
		connection_watch(conn);
		/* Buffers that came in between: the kick handler would not run for them. */
		if (vsock->device.active && virtqueue_enable_notify(&vsock->device.queues[QUEUE_RX]))
			vsock_wake_waiting(vsock);
		return;
	}
	if (!vsock_send_data(conn, &chain))
		virtqueue_unpop(&vsock->device.queues[QUEUE_RX], chain.head);
}

static void leave_unwatched(struct connection *conn)
{
	loop_remove(conn->vsock->loop, conn->fd);
	conn->unwatched = true;
	conn->watched = 0;
}

/* The other side is gone. Bytes of it may be left to read, for which the guest has no buffer or gives no credit yet. */
static void hung_up(struct connection *conn)
{
	if (!conn->waits) {
		connection_ended(conn, true);
		return;
	}
	leave_unwatched(conn);
}

static void socket_ready(void *ctx, uint32_t events)
{
	struct connection *conn = ctx;
	struct vsock *vsock = conn->vsock;
	pthread_mutex_t *lock = &vsock->device.lock;

	pthread_mutex_lock(lock);
	if (conn->state == STATE_HANDSHAKE) {
		if (!(events & EPOLLIN) || !read_handshake(conn))
			connection_free(conn);
	} else if (conn->line && (conn->state == STATE_CONNECTING || conn->due & DUE_LINE)) {
		/* Only gone: what it has sent can still be read. */
		leave_unwatched(conn);
	} else if (conn->state == STATE_CONNECTING) {
		if (events & (EPOLLHUP | EPOLLERR)) {
			connection_close(conn);
			conn->due = DUE_RESET; /* the guest may have accepted meanwhile */
		}
	} else {
		if (events & EPOLLOUT && !connection_flush(conn))
			connection_ended(conn, true);
		if (conn->fd >= 0 && events & EPOLLIN && conn->watched & EPOLLIN)
			socket_input(conn);
		else if (conn->fd >= 0 && events & (EPOLLHUP | EPOLLERR))
			hung_up(conn);
		if (conn->fd >= 0) {
			connection_offer_credit(conn);
			connection_watch(conn);
		}
	}
	vsock_send_control(vsock);
	pthread_mutex_unlock(lock);
}

void vsock_client_arrives(void *ctx, uint32_t events)
{
	struct vsock *vsock = ctx;
	int fd = accept4(vsock->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0)
		return;
	pthread_mutex_lock(&vsock->device.lock);
	if (!connection_new(vsock, fd, STATE_HANDSHAKE)) {
		log_warn_limited("vsock: connection refused: %u are open", vsock->nconnections);
		close(fd);
	}
	pthread_mutex_unlock(&vsock->device.lock);
}

int connection_dial(struct vsock *vsock, uint32_t port)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s_%u", vsock->path, port);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		int saved = errno;

		close(fd);
		return -saved;
	}
	return fd;
}
