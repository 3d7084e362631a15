/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the vsock device: a connection, which vsock_connection.c keeps on the side of its unix socket and vsock.c on
 * the side of the guest. All of it under the device's lock, on the I/O thread.
 */
#ifndef VMM_VIRTIO_VSOCK_CONNECTION_H
#define VMM_VIRTIO_VSOCK_CONNECTION_H

#include <linux/virtio_vsock.h>
#include <sys/un.h>

#include "vmm/virtio/vsock.h"

enum { QUEUE_RX, QUEUE_TX, QUEUE_EVENT, QUEUES };

/* Credit that the guest has, per connection. With half of it guest and host take turns instead of working at once. */
#define BUFFER (512 << 10)
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
#define DUE_LINE 0x20 /* before anything of the socket's */
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
	char *line; /* owned; NULL: the socket's side made the handshake, and hears how it ended */
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
	void (*held)(void *ctx); /* not NULL: requests of the guest stay in the queue */
	void *held_ctx;
};

/* NULL when there are too many, or no memory: the caller keeps fd. */
struct connection *connection_new(struct vsock *vsock, int fd, enum state state);
void connection_free(struct connection *conn);

/* The one between these ports, or NULL. */
struct connection *connection_find(struct vsock *vsock, uint32_t host_port, uint32_t guest_port);

/* A socket connected to who serves this port on the host, or -errno. */
int connection_dial(struct vsock *vsock, uint32_t port);

/* Watches the socket for what the connection can take now. After every change of its state. */
void connection_watch(struct connection *conn);
void connection_close(struct connection *conn);

/* The socket will give no more bytes, or is gone for both directions (gone): the guest is to be told. */
void connection_ended(struct connection *conn, bool gone);

/* Writes what waits for the socket. false: the socket is broken. */
bool connection_flush(struct connection *conn);

/* Tells the guest of room when it believes that little is left. */
void connection_offer_credit(struct connection *conn);

/* Loop handler of the listening socket; ctx is the struct vsock. */
void vsock_client_arrives(void *ctx, uint32_t events);

/* The guest's side, for what the socket brings. A receive buffer: 1, 0 when there is none, or -errno. */
int vsock_take_buffer(struct vsock *vsock, struct virtqueue_chain *chain);

/* Bytes that the guest can take; reads them from the socket into a buffer, and returns whether that was used. */
uint32_t vsock_guest_credit(const struct connection *conn);
bool vsock_send_data(struct connection *conn, struct virtqueue_chain *chain);

/* After anything that made packets due; and when buffers or credit came. */
void vsock_send_control(struct vsock *vsock);
void vsock_wake_waiting(struct vsock *vsock);

#endif
