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
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/log.h"
#include "vmm/virtio/vsock_connection.h"

#define HOST_CID 2
#define PACKET_MAX (64 << 10)
#define CHAINS_PER_KICK 64

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
int vsock_take_buffer(struct vsock *vsock, struct virtqueue_chain *chain)
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

uint32_t vsock_guest_credit(const struct connection *conn)
{
	uint32_t outstanding = conn->sent - conn->guest_fwd_cnt;

	/* A guest that shrinks its buffer below what is under way has no credit, not a huge one. */
	return outstanding < conn->guest_buf_alloc ? conn->guest_buf_alloc - outstanding : 0;
}

/* The line that comes before the socket's bytes, which fits if the guest is one of ours. */
static bool line_fits(const struct connection *conn, const struct virtqueue_chain *chain)
{
	size_t len = strlen(conn->line);

	return chain->writable_bytes - sizeof(struct virtio_vsock_hdr) >= len && vsock_guest_credit(conn) >= len;
}

static void put_line(struct connection *conn, struct virtqueue_chain *chain, struct virtio_vsock_hdr *hdr)
{
	hdr->op = VIRTIO_VSOCK_OP_RW;
	hdr->len = (uint32_t)strlen(conn->line);
	iov_write(chain->writable, chain->nwritable, sizeof(*hdr), conn->line, hdr->len);
	conn->sent += hdr->len;
	conn->due &= ~(uint32_t)DUE_LINE;
}

/* Sends the control packet with the highest rank. Returns whether the connection is still there. */
static bool send_due(struct connection *conn, struct virtqueue_chain *chain)
{
	struct vsock *vsock = conn->vsock;
	struct virtio_vsock_hdr hdr = header_to(vsock, conn->host_port, conn->guest_port, 0);
	bool last = false;

	hdr.fwd_cnt = conn->fwd_cnt;
	if (conn->due & DUE_LINE && !line_fits(conn, chain))
		conn->due = DUE_RESET;
	if (conn->due & DUE_RESET) {
		hdr.op = VIRTIO_VSOCK_OP_RST;
		last = true;
	} else if (conn->due & DUE_REQUEST) {
		hdr.op = VIRTIO_VSOCK_OP_REQUEST;
		conn->due &= ~(uint32_t)DUE_REQUEST;
	} else if (conn->due & DUE_RESPONSE) {
		hdr.op = VIRTIO_VSOCK_OP_RESPONSE;
		conn->due &= ~(uint32_t)DUE_RESPONSE;
	} else if (conn->due & DUE_LINE) {
		put_line(conn, chain, &hdr);
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
	else
		connection_watch(conn); /* the socket's turn comes after the line */
	return !last;
}

/* Reads from the socket into a buffer. Returns whether the buffer was used. */
bool vsock_send_data(struct connection *conn, struct virtqueue_chain *chain)
{
	struct virtio_vsock_hdr hdr =
		header_to(conn->vsock, conn->host_port, conn->guest_port, VIRTIO_VSOCK_OP_RW);
	struct iovec iov[VIRTQUEUE_SIZE_MAX];
	struct msghdr msg = { .msg_iov = iov };
	size_t room = (size_t)(chain->writable_bytes - sizeof(hdr));
	uint32_t credit = vsock_guest_credit(conn);
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
		connection_ended(conn, n < 0);
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

		if (vsock_take_buffer(vsock, &chain) <= 0)
			return false;
		put_packet(vsock, &chain, &hdr);
		vsock->nresets--;
	}
	while (conn) {
		struct connection *next = conn->next;

		while (conn->due) {
			if (vsock_take_buffer(vsock, &chain) <= 0)
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
void vsock_send_control(struct vsock *vsock)
{
	if (!flush_control(vsock) && vsock->device.active && virtqueue_enable_notify(&vsock->device.queues[QUEUE_RX]))
		flush_control(vsock);
	notify_rx(vsock);
}

/* Buffers came, or credit: everybody who waited for one may try again. */
void vsock_wake_waiting(struct vsock *vsock)
{
	for (struct connection *conn = vsock->connections; conn; conn = conn->next)
		if (conn->waits && vsock_guest_credit(conn) > 0) {
			conn->waits = false;
			connection_watch(conn);
		}
}

static void refuse(struct vsock *vsock, const struct virtio_vsock_hdr *hdr)
{
	/* When the list is full the guest's own timeout ends the connection. */
	if (hdr->op != VIRTIO_VSOCK_OP_RST && vsock->nresets < RESETS_MAX)
		vsock->resets[vsock->nresets++] = (struct reset){ .host_port = hdr->dst_port, .guest_port = hdr->src_port };
}

static void guest_connects(struct vsock *vsock, const struct virtio_vsock_hdr *hdr)
{
	int fd = connection_dial(vsock, hdr->dst_port);
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
	connection_watch(conn);
}

static void guest_accepts(struct connection *conn)
{
	char line[32];
	int n = snprintf(line, sizeof(line), "OK %u\n", conn->host_port);

	if (conn->line) {
		conn->state = STATE_ESTABLISHED;
		conn->due |= DUE_LINE;
		return;
	}
	/* A fresh socket takes a line; fwd_cnt does not count it, the guest did not send it. */
	if (send(conn->fd, line, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) != n) {
		connection_close(conn);
		conn->due = DUE_RESET;
		return;
	}
	conn->state = STATE_ESTABLISHED;
	connection_watch(conn);
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
			connection_ended(conn, true);
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
	connection_offer_credit(conn);
	connection_watch(conn);
	return true;
}

static void guest_shuts_down(struct connection *conn, uint32_t flags)
{
	if (flags & VIRTIO_VSOCK_SHUTDOWN_RCV)
		conn->guest_wants_no_more = true;
	if (flags & VIRTIO_VSOCK_SHUTDOWN_SEND && !conn->guest_sends_no_more) {
		conn->guest_sends_no_more = true;
		if (conn->fd >= 0 && conn->pending_len == 0 && !connection_flush(conn))
			connection_ended(conn, true);
	}
	if (conn->guest_sends_no_more && conn->guest_wants_no_more) {
		/* 5.10.6.5: both directions are done, a reset confirms. What is pending goes out first. */
		if (conn->fd >= 0 && conn->pending_len) {
			conn->reset_when_flushed = true;
		} else {
			connection_close(conn);
			conn->due = DUE_RESET;
		}
	}
	connection_watch(conn);
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
	conn = connection_find(vsock, hdr.dst_port, hdr.src_port);
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
		connection_close(conn);
		conn->due = DUE_RESET;
	}
	return true;
}

static bool is_request(const struct virtqueue_chain *chain)
{
	struct virtio_vsock_hdr hdr;

	return iov_read(chain->readable, chain->nreadable, 0, &hdr, sizeof(hdr)) == sizeof(hdr) &&
	       hdr.op == VIRTIO_VSOCK_OP_REQUEST;
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
			if (vsock->held && is_request(&chain)) {
				virtqueue_unpop(vq, chain.head);
				vsock->held(vsock->held_ctx);
				return;
			}
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
	vsock_wake_waiting(vsock);
	if (budget == 0 && write(vsock->device.kicks[QUEUE_TX], &one, sizeof(one)) != sizeof(one))
		virtio_device_needs_reset(&vsock->device, "cannot wake a queue");
}

static void vsock_kick(struct virtio_device *device, unsigned int queue)
{
	struct vsock *vsock = (struct vsock *)device;

	if (queue == QUEUE_TX)
		transmit(vsock);
	if (queue == QUEUE_RX)
		vsock_wake_waiting(vsock);
	vsock_send_control(vsock);
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
		if (loop_add(loop, listen_fd, EPOLLIN, vsock_client_arrives, vsock, err) < 0) {
			vsock_free(&vsock->device);
			return NULL;
		}
		vsock->listen_fd = listen_fd;
	}
	return &vsock->device;
}

void vsock_hold_requests(struct virtio_device *device, void (*arrived)(void *ctx), void *ctx)
{
	struct vsock *vsock = (struct vsock *)device;

	vsock->held = arrived;
	vsock->held_ctx = ctx;
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
