/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-vsock.
 *
 * Theory of operation. A connection has a unix socket on one side and a pair of ports on the other. Bytes from the
 * guest are written to the socket at once; what the socket does not take is kept, at most BUFFER bytes, which is the
 * credit that the guest is given. Bytes from the socket are read straight into the guest's receive buffers, as far as
 * the guest's credit goes. Control packets (response, reset, shutdown, credit) are flags on the connection, sent when
 * there is a receive buffer; resets for ports that nobody has go through a short list. So nothing here grows by what a
 * guest does: a connection has a bound, and there is a bound on connections.
 *
 * All of it runs on the I/O thread under the device's lock.
 */
#include "vmm/virtio/vsock.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_vsock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/log.h"

enum { QUEUE_RX, QUEUE_TX, QUEUE_EVENT, QUEUES };

#define HOST_CID 2
#define BUFFER (256 << 10) /* credit that the guest has, per connection */
#define PACKET_MAX (64 << 10)
#define CHAINS_PER_KICK 64
#define RESETS_MAX 64
#define HOST_PORT_FIRST 0x40000000u
#define HANDSHAKE_MAX 32

enum state {
	STATE_HANDSHAKE, /* host side: "CONNECT <port>\n" not complete yet; no ports */
	STATE_CONNECTING, /* request sent or due; nothing else may be sent */
	STATE_ESTABLISHED,
	STATE_CLOSING, /* we sent a full shutdown; the guest's reset is awaited, no socket any more */
};

/* Control packets that are due. */
#define DUE_REQUEST 0x1
#define DUE_RESPONSE 0x2
#define DUE_SHUTDOWN 0x4
#define DUE_CREDIT 0x8
#define DUE_RESET 0x10 /* the last packet: the connection is freed with it */

struct connection {
	struct vsock *vsock; /* borrowed */
	struct connection *next;
	int fd; /* owned; -1 in STATE_CLOSING */
	enum state state;
	uint32_t host_port, guest_port;
	uint32_t due;
	uint32_t shutdown_flags; /* ours, for DUE_SHUTDOWN */
	bool guest_sends_no_more; /* flush, then shut the socket's writing side down */
	bool guest_wants_no_more;
	bool socket_ended;
	bool waits; /* the socket has data, but there was no buffer or no credit */
	uint32_t watched; /* epoll bits in force */
	bool unwatched;	  /* hung up with bytes left to read: taken out of the loop, whose events would spin */
	bool reset_when_flushed; /* both directions are done but for the pending bytes */

	/* Credit, modulo 2^32 (5.10.6.3). */
	uint32_t sent;		/* bytes to the guest, ever */
	uint32_t guest_buf_alloc, guest_fwd_cnt;
	uint32_t fwd_cnt;	/* bytes from the guest that left for the socket */
	uint32_t fwd_cnt_told;

	uint8_t *pending; /* owned; bytes from the guest that the socket did not take, of BUFFER bytes */
	uint32_t pending_start, pending_len;

	char handshake[HANDSHAKE_MAX];
	size_t handshake_len;
};

struct reset {
	uint32_t host_port, guest_port;
};

struct vsock {
	struct virtio_device device;
	struct virtio_vsock_config config;
	struct loop *loop; /* borrowed */
	int listen_fd;	   /* borrowed */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path) - 12];
	struct connection *connections; /* owned */
	unsigned int nconnections;
	uint32_t next_host_port;
	struct reset resets[RESETS_MAX];
	unsigned int nresets;
};

static void socket_ready(void *ctx, uint32_t events);

/* The socket is watched for input only while there is room for it, and for output only while bytes are pending. */
static void update_watch(struct connection *conn)
{
	uint32_t events = 0;

	if (conn->fd < 0)
		return;
	if (conn->state == STATE_HANDSHAKE ||
	    (conn->state == STATE_ESTABLISHED && !conn->waits && !conn->socket_ended && !conn->guest_wants_no_more))
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

static void close_socket(struct connection *conn)
{
	if (conn->fd < 0)
		return;
	if (!conn->unwatched)
		loop_remove(conn->vsock->loop, conn->fd);
	close(conn->fd);
	conn->fd = -1;
}

static void connection_free(struct connection *conn)
{
	struct connection **at = &conn->vsock->connections;

	while (*at != conn)
		at = &(*at)->next;
	*at = conn->next;
	conn->vsock->nconnections--;
	close_socket(conn);
	free(conn->pending);
	free(conn);
}

static struct connection *connection_new(struct vsock *vsock, int fd, enum state state)
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
	conn->watched = state == STATE_HANDSHAKE ? EPOLLIN : 0;
	if (loop_add(vsock->loop, fd, conn->watched, socket_ready, conn, &err) < 0) {
		free(conn);
		return NULL;
	}
	conn->next = vsock->connections;
	vsock->connections = conn;
	vsock->nconnections++;
	return conn;
}

static struct connection *find(struct vsock *vsock, uint32_t host_port, uint32_t guest_port)
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

static struct virtio_vsock_hdr header_to(struct vsock *vsock, uint32_t host_port, uint32_t guest_port, uint16_t op)
{
	return (struct virtio_vsock_hdr){
		.src_cid = HOST_CID,
		.dst_cid = vsock->config.guest_cid,
		.src_port = host_port,
		.dst_port = guest_port,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = op,
		.buf_alloc = BUFFER,
	};
}

/* Takes one receive buffer that has room for a header and more. 1, 0 when there is none, or -errno. */
static int take_buffer(struct vsock *vsock, struct virtqueue_chain *chain)
{
	int ret = vsock->device.active ? virtqueue_pop(&vsock->device.queues[QUEUE_RX], chain) : 0;

	if (ret > 0 && (chain->nreadable || chain->writable_bytes < sizeof(struct virtio_vsock_hdr)))
		ret = -EBADMSG;
	if (ret < 0)
		virtio_device_needs_reset(&vsock->device, "malformed receive buffer");
	return ret;
}

static void put_packet(struct vsock *vsock, struct virtqueue_chain *chain, const struct virtio_vsock_hdr *hdr)
{
	iov_write(chain->writable, chain->nwritable, 0, hdr, sizeof(*hdr));
	virtqueue_push(&vsock->device.queues[QUEUE_RX], chain->head, (uint32_t)(sizeof(*hdr) + hdr->len));
}

/* Sends the control packet with the highest rank. Returns whether the connection is still there. */
static bool send_due(struct connection *conn, struct virtqueue_chain *chain)
{
	struct vsock *vsock = conn->vsock;
	struct virtio_vsock_hdr hdr = header_to(vsock, conn->host_port, conn->guest_port, 0);
	bool last = false;

	hdr.fwd_cnt = conn->fwd_cnt;
	if (conn->due & DUE_RESET) {
		hdr.op = VIRTIO_VSOCK_OP_RST;
		last = true;
	} else if (conn->due & DUE_REQUEST) {
		hdr.op = VIRTIO_VSOCK_OP_REQUEST;
		conn->due &= ~(uint32_t)DUE_REQUEST;
	} else if (conn->due & DUE_RESPONSE) {
		hdr.op = VIRTIO_VSOCK_OP_RESPONSE;
		conn->due &= ~(uint32_t)DUE_RESPONSE;
	} else if (conn->due & DUE_SHUTDOWN) {
		hdr.op = VIRTIO_VSOCK_OP_SHUTDOWN;
		hdr.flags = conn->shutdown_flags;
		conn->due &= ~(uint32_t)DUE_SHUTDOWN;
	} else {
		hdr.op = VIRTIO_VSOCK_OP_CREDIT_UPDATE;
		conn->due &= ~(uint32_t)DUE_CREDIT;
	}
	conn->fwd_cnt_told = conn->fwd_cnt;
	put_packet(vsock, chain, &hdr);
	if (last)
		connection_free(conn);
	return !last;
}

/* The socket will give no more bytes (ended) or is gone for both directions (gone). */
static void socket_closed(struct connection *conn, bool gone)
{
	uint32_t flags = gone ? VIRTIO_VSOCK_SHUTDOWN_SEND | VIRTIO_VSOCK_SHUTDOWN_RCV : VIRTIO_VSOCK_SHUTDOWN_SEND;

	conn->socket_ended = true;
	if ((conn->shutdown_flags | flags) != conn->shutdown_flags) {
		conn->shutdown_flags |= flags;
		conn->due |= DUE_SHUTDOWN;
	}
	if (gone) {
		close_socket(conn);
		conn->pending_len = 0;
		conn->state = STATE_CLOSING;
	}
	update_watch(conn);
}

static uint32_t guest_credit(const struct connection *conn)
{
	uint32_t outstanding = conn->sent - conn->guest_fwd_cnt;

	/* A guest that shrinks its buffer below what is under way has no credit, not a huge one. */
	return outstanding < conn->guest_buf_alloc ? conn->guest_buf_alloc - outstanding : 0;
}

/* Reads from the socket into a buffer. Returns whether the buffer was used. */
static bool send_data(struct connection *conn, struct virtqueue_chain *chain)
{
	struct virtio_vsock_hdr hdr =
		header_to(conn->vsock, conn->host_port, conn->guest_port, VIRTIO_VSOCK_OP_RW);
	struct iovec iov[VIRTQUEUE_SIZE_MAX];
	struct msghdr msg = { .msg_iov = iov };
	size_t room = (size_t)(chain->writable_bytes - sizeof(hdr));
	uint32_t credit = guest_credit(conn);
	ssize_t n;

	if (room > PACKET_MAX)
		room = PACKET_MAX;
	if (room > credit)
		room = credit;
	msg.msg_iovlen = iov_slice(chain->writable, chain->nwritable, sizeof(hdr), room, iov);
	n = recvmsg(conn->fd, &msg, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		socket_closed(conn, n < 0);
		return false;
	}
	hdr.len = (uint32_t)n;
	hdr.fwd_cnt = conn->fwd_cnt;
	conn->fwd_cnt_told = conn->fwd_cnt;
	conn->sent += (uint32_t)n;
	put_packet(conn->vsock, chain, &hdr);
	return true;
}

/* Sends all control packets that are due, as far as there are buffers. Returns whether buffers are left. */
static bool flush_control(struct vsock *vsock)
{
	struct virtqueue_chain chain;
	struct connection *conn = vsock->connections;

	while (vsock->nresets) {
		struct reset *reset = &vsock->resets[vsock->nresets - 1];
		struct virtio_vsock_hdr hdr =
			header_to(vsock, reset->host_port, reset->guest_port, VIRTIO_VSOCK_OP_RST);

		if (take_buffer(vsock, &chain) <= 0)
			return false;
		put_packet(vsock, &chain, &hdr);
		vsock->nresets--;
	}
	while (conn) {
		struct connection *next = conn->next;

		while (conn->due) {
			if (take_buffer(vsock, &chain) <= 0)
				return false;
			if (!send_due(conn, &chain))
				break;
		}
		conn = next;
	}
	return true;
}

static void notify_rx(struct vsock *vsock)
{
	if (vsock->device.active)
		virtio_device_notify_used(&vsock->device, &vsock->device.queues[QUEUE_RX]);
}

/* After anything that made packets due. */
static void send_control(struct vsock *vsock)
{
	if (!flush_control(vsock) && vsock->device.active && virtqueue_enable_notify(&vsock->device.queues[QUEUE_RX]))
		flush_control(vsock);
	notify_rx(vsock);
}

/* Buffers came, or credit: everybody who waited for one may try again. */
static void wake_waiting(struct vsock *vsock)
{
	for (struct connection *conn = vsock->connections; conn; conn = conn->next)
		if (conn->waits && guest_credit(conn) > 0) {
			conn->waits = false;
			update_watch(conn);
		}
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
	conn->guest_port = (uint32_t)port;
	conn->host_port = free_host_port(conn->vsock);
	conn->state = STATE_CONNECTING;
	conn->due = DUE_REQUEST;
	update_watch(conn);
	return true;
}

/* Bytes that wait for the socket. Returns false when the socket is broken. */
static bool flush_pending(struct connection *conn)
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
		close_socket(conn);
		conn->due = DUE_RESET;
		return true;
	}
	return !conn->guest_sends_no_more || shutdown(conn->fd, SHUT_WR) == 0;
}

/* Tells the guest of room when it believes that little is left. */
static void offer_credit(struct connection *conn)
{
	if (conn->state == STATE_ESTABLISHED && conn->fwd_cnt - conn->fwd_cnt_told >= BUFFER / 2)
		conn->due |= DUE_CREDIT;
}

static void socket_input(struct connection *conn)
{
	struct vsock *vsock = conn->vsock;
	struct virtqueue_chain chain;

	if (guest_credit(conn) == 0 || take_buffer(vsock, &chain) <= 0) {
		conn->waits = true;
		update_watch(conn);
		/* Buffers that came in between: the kick handler would not run for them. */
		if (vsock->device.active && virtqueue_enable_notify(&vsock->device.queues[QUEUE_RX]))
			wake_waiting(vsock);
		return;
	}
	if (!send_data(conn, &chain))
		virtqueue_unpop(&vsock->device.queues[QUEUE_RX], chain.head);
}

/* The other side is gone. Bytes of it may be left to read, for which the guest has no buffer or gives no credit yet. */
static void hung_up(struct connection *conn)
{
	if (!conn->waits) {
		socket_closed(conn, true);
		return;
	}
	loop_remove(conn->vsock->loop, conn->fd);
	conn->unwatched = true;
	conn->watched = 0;
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
	} else if (conn->state == STATE_CONNECTING) {
		if (events & (EPOLLHUP | EPOLLERR)) {
			close_socket(conn);
			conn->due = DUE_RESET; /* the guest may have accepted meanwhile */
		}
	} else {
		if (events & EPOLLOUT && !flush_pending(conn))
			socket_closed(conn, true);
		if (conn->fd >= 0 && events & EPOLLIN && conn->watched & EPOLLIN)
			socket_input(conn);
		else if (conn->fd >= 0 && events & (EPOLLHUP | EPOLLERR))
			hung_up(conn);
		if (conn->fd >= 0) {
			offer_credit(conn);
			update_watch(conn);
		}
	}
	send_control(vsock);
	pthread_mutex_unlock(lock);
}

static void client_arrives(void *ctx, uint32_t events)
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

static void refuse(struct vsock *vsock, const struct virtio_vsock_hdr *hdr)
{
	/* When the list is full the guest's own timeout ends the connection. */
	if (hdr->op != VIRTIO_VSOCK_OP_RST && vsock->nresets < RESETS_MAX)
		vsock->resets[vsock->nresets++] = (struct reset){ .host_port = hdr->dst_port, .guest_port = hdr->src_port };
}

static int connect_to_host_port(struct vsock *vsock, uint32_t port)
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

static void guest_connects(struct vsock *vsock, const struct virtio_vsock_hdr *hdr)
{
	int fd = connect_to_host_port(vsock, hdr->dst_port);
	struct connection *conn;

	if (fd < 0) {
		refuse(vsock, hdr);
		return;
	}
	conn = connection_new(vsock, fd, STATE_ESTABLISHED);
	if (!conn) {
		close(fd);
		refuse(vsock, hdr);
		return;
	}
	conn->host_port = hdr->dst_port;
	conn->guest_port = hdr->src_port;
	conn->guest_buf_alloc = hdr->buf_alloc;
	conn->guest_fwd_cnt = hdr->fwd_cnt;
	conn->due = DUE_RESPONSE;
	update_watch(conn);
}

static void guest_accepts(struct connection *conn)
{
	char line[32];
	int n = snprintf(line, sizeof(line), "OK %u\n", conn->host_port);

	/* A fresh socket takes a line; fwd_cnt does not count it, the guest did not send it. */
	if (send(conn->fd, line, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) != n) {
		close_socket(conn);
		conn->due = DUE_RESET;
		return;
	}
	conn->state = STATE_ESTABLISHED;
	update_watch(conn);
}

/* Data from the guest: to the socket, the rest to pending. Returns false when the guest exceeds its credit. */
static bool guest_sends(struct connection *conn, const struct virtqueue_chain *chain, uint32_t len)
{
	struct iovec iov[VIRTQUEUE_SIZE_MAX];
	struct msghdr msg = { .msg_iov = iov };
	ssize_t n = 0;
	size_t at;

	if (conn->state != STATE_ESTABLISHED || conn->guest_sends_no_more || conn->fd < 0)
		return conn->state == STATE_CLOSING;
	if (conn->pending_len == 0 && len > 0) {
		msg.msg_iovlen = iov_slice(chain->readable, chain->nreadable, sizeof(struct virtio_vsock_hdr), len, iov);
		n = sendmsg(conn->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			socket_closed(conn, true);
			return true;
		}
		if (n < 0)
			n = 0;
		conn->fwd_cnt += (uint32_t)n;
	}
	len -= (uint32_t)n;
	if (len > BUFFER - conn->pending_len)
		return false;
	if (len && !conn->pending)
		conn->pending = malloc(BUFFER);
	if (len && !conn->pending)
		return false;
	for (at = (size_t)n + sizeof(struct virtio_vsock_hdr); len > 0;) {
		uint32_t end = (conn->pending_start + conn->pending_len) % BUFFER;
		uint32_t part = BUFFER - end < len ? BUFFER - end : len;

		iov_read(chain->readable, chain->nreadable, at, conn->pending + end, part);
		conn->pending_len += part;
		at += part;
		len -= part;
	}
	offer_credit(conn);
	update_watch(conn);
	return true;
}

static void guest_shuts_down(struct connection *conn, uint32_t flags)
{
	if (flags & VIRTIO_VSOCK_SHUTDOWN_RCV)
		conn->guest_wants_no_more = true;
	if (flags & VIRTIO_VSOCK_SHUTDOWN_SEND && !conn->guest_sends_no_more) {
		conn->guest_sends_no_more = true;
		if (conn->fd >= 0 && conn->pending_len == 0 && !flush_pending(conn))
			socket_closed(conn, true);
	}
	if (conn->guest_sends_no_more && conn->guest_wants_no_more) {
		/* 5.10.6.5: both directions are done, a reset confirms. What is pending goes out first. */
		if (conn->fd >= 0 && conn->pending_len) {
			conn->reset_when_flushed = true;
		} else {
			close_socket(conn);
			conn->due = DUE_RESET;
		}
	}
	update_watch(conn);
}

/* One packet from the guest; hdr is our copy. Returns false if the connection broke the protocol. */
static bool handle_packet(struct vsock *vsock, struct connection *conn, const struct virtio_vsock_hdr *hdr,
			  const struct virtqueue_chain *chain)
{
	conn->guest_buf_alloc = hdr->buf_alloc;
	conn->guest_fwd_cnt = hdr->fwd_cnt;
	switch (hdr->op) {
	case VIRTIO_VSOCK_OP_RESPONSE:
		if (conn->state != STATE_CONNECTING || conn->due & (DUE_REQUEST | DUE_RESET))
			return false;
		guest_accepts(conn);
		return true;
	case VIRTIO_VSOCK_OP_RW:
		return guest_sends(conn, chain, hdr->len);
	case VIRTIO_VSOCK_OP_SHUTDOWN:
		if (conn->state == STATE_CONNECTING)
			return false;
		guest_shuts_down(conn, hdr->flags);
		return true;
	case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
		conn->due |= DUE_CREDIT;
		return true;
	case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
		return true;
	default: /* a second request, or an operation that does not exist */
		return false;
	}
	(void)vsock;
}

/* Returns false when the chain is not a packet at all. */
static bool dispatch(struct vsock *vsock, const struct virtqueue_chain *chain)
{
	struct virtio_vsock_hdr hdr;
	struct connection *conn;

	if (iov_read(chain->readable, chain->nreadable, 0, &hdr, sizeof(hdr)) != sizeof(hdr))
		return false;
	if (hdr.len > PACKET_MAX || hdr.len > chain->readable_bytes - sizeof(hdr))
		return false;
	/* 5.10.6.4: silently dropped if it is not from this guest to us. */
	if (hdr.src_cid != vsock->config.guest_cid || hdr.dst_cid != HOST_CID)
		return true;
	conn = find(vsock, hdr.dst_port, hdr.src_port);
	if (hdr.type != VIRTIO_VSOCK_TYPE_STREAM) {
		refuse(vsock, &hdr);
	} else if (!conn) {
		if (hdr.op == VIRTIO_VSOCK_OP_REQUEST)
			guest_connects(vsock, &hdr);
		else
			refuse(vsock, &hdr);
	} else if (hdr.op == VIRTIO_VSOCK_OP_RST) {
		connection_free(conn);
	} else if (!handle_packet(vsock, conn, &hdr, chain)) {
		close_socket(conn);
		conn->due = DUE_RESET;
	}
	return true;
}

static void transmit(struct vsock *vsock)
{
	struct virtqueue *vq = &vsock->device.queues[QUEUE_TX];
	struct virtqueue_chain chain;
	unsigned int budget = CHAINS_PER_KICK;
	uint64_t one = 1;

	do {
		int ret = 0;

		while (budget > 0 && (ret = virtqueue_pop(vq, &chain)) > 0) {
			if (!dispatch(vsock, &chain)) {
				ret = -EBADMSG;
				break;
			}
			virtqueue_push(vq, chain.head, 0);
			budget--;
		}
		if (ret < 0) {
			virtio_device_needs_reset(&vsock->device, "malformed packet");
			return;
		}
	} while (budget > 0 && virtqueue_enable_notify(vq));
	virtio_device_notify_used(&vsock->device, vq);
	wake_waiting(vsock);
	if (budget == 0 && write(vsock->device.kicks[QUEUE_TX], &one, sizeof(one)) != sizeof(one))
		virtio_device_needs_reset(&vsock->device, "cannot wake a queue");
}

static void vsock_kick(struct virtio_device *device, unsigned int queue)
{
	struct vsock *vsock = (struct vsock *)device;

	if (queue == QUEUE_TX)
		transmit(vsock);
	if (queue == QUEUE_RX)
		wake_waiting(vsock);
	send_control(vsock);
}

static void vsock_reset(struct virtio_device *device)
{
	struct vsock *vsock = (struct vsock *)device;
	struct connection *conn = vsock->connections;

	/* Who has not spoken to the guest yet may wait for the next driver. */
	while (conn) {
		struct connection *next = conn->next;

		if (conn->state != STATE_HANDSHAKE && !(conn->state == STATE_CONNECTING && conn->due & DUE_REQUEST))
			connection_free(conn);
		conn = next;
	}
	vsock->nresets = 0;
}

static const struct virtio_device_ops vsock_ops = {
	.name = "vsock",
	.id = VIRTIO_ID_VSOCK,
	.nqueues = QUEUES,
	.queue_size = 128,
	.reset = vsock_reset,
	.kick = vsock_kick,
};

struct virtio_device *vsock_new(const struct memory *mem, struct loop *loop, uint64_t guest_cid, int listen_fd,
				const char *path, struct err *err)
{
	struct vsock *vsock = calloc(1, sizeof(*vsock));

	if (!vsock) {
		err_set(err, ENOMEM, "vsock");
		return NULL;
	}
	vsock->loop = loop;
	vsock->listen_fd = -1;
	vsock->config.guest_cid = guest_cid;
	vsock->next_host_port = HOST_PORT_FIRST;
	if (virtio_device_init(&vsock->device, &vsock_ops, mem, 0, &vsock->config, sizeof(vsock->config), err) < 0) {
		vsock_free(&vsock->device);
		return NULL;
	}
	if (strlen(path) >= sizeof(vsock->path)) {
		err_set(err, ENAMETOOLONG, "vsock socket path %s", path);
		vsock_free(&vsock->device);
		return NULL;
	}
	strcpy(vsock->path, path);
	if (listen_fd >= 0) {
		if (loop_add(loop, listen_fd, EPOLLIN, client_arrives, vsock, err) < 0) {
			vsock_free(&vsock->device);
			return NULL;
		}
		vsock->listen_fd = listen_fd;
	}
	return &vsock->device;
}

void vsock_free(struct virtio_device *device)
{
	struct vsock *vsock = (struct vsock *)device;

	if (!vsock)
		return;
	while (vsock->connections)
		connection_free(vsock->connections);
	if (vsock->listen_fd >= 0)
		loop_remove(vsock->loop, vsock->listen_fd);
	virtio_device_done(device);
	free(vsock);
}
