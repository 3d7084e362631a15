/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-console. */
#include "vmm/virtio/console.h"

#include <errno.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { QUEUE_RECEIVE, QUEUE_TRANSMIT, QUEUES };

#define CHUNK 4096
#define CHAINS_PER_KICK 64

struct console {
	struct virtio_device device;
	struct virtio_console_config config;
	struct loop *loop;	/* borrowed */
	struct serial *serial;	/* borrowed */
	int listen_fd;		/* borrowed, -1 if none */
	int client;		/* owned, -1 if none */
};

static void drop_client(struct console *console)
{
	if (console->client < 0)
		return;
	loop_remove(console->loop, console->client);
	close(console->client);
	console->client = -1;
}

/* Output for a client that does not read is dropped: the record keeps the newest lines. */
static void output(struct console *console, const void *data, size_t len)
{
	serial_record(console->serial, data, len);
	if (console->client >= 0 && send(console->client, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN)
		drop_client(console);
}

static void transmit(struct console *console)
{
	struct virtqueue *vq = &console->device.queues[QUEUE_TRANSMIT];
	struct virtqueue_chain chain;
	unsigned int budget = CHAINS_PER_KICK;
	uint64_t one = 1;

	do {
		int ret = 0;

		while (budget > 0 && (ret = virtqueue_pop(vq, &chain)) > 0) {
			uint8_t chunk[CHUNK];
			size_t n = iov_read(chain.readable, chain.nreadable, 0, chunk, sizeof(chunk));

			/* What does not fit the chunk is dropped: a line is shorter. */
			output(console, chunk, n);
			virtqueue_push(vq, chain.head, 0);
			budget--;
		}
		if (ret < 0) {
			virtio_device_needs_reset(&console->device, "malformed transmit chain");
			return;
		}
	} while (budget > 0 && virtqueue_enable_notify(vq));
	virtio_device_notify_used(&console->device, vq);
	if (budget == 0 && write(console->device.kicks[QUEUE_TRANSMIT], &one, sizeof(one)) != sizeof(one))
		virtio_device_needs_reset(&console->device, "cannot wake a queue");
}

/* Fills one receive buffer from the client. Under the lock. */
static void receive(struct console *console)
{
	struct virtqueue *vq = &console->device.queues[QUEUE_RECEIVE];
	struct virtqueue_chain chain;
	uint8_t chunk[CHUNK];
	ssize_t n;
	int ret;

	ret = console->device.active ? virtqueue_pop(vq, &chain) : 0;
	if (ret < 0)
		virtio_device_needs_reset(&console->device, "malformed receive chain");
	if (ret <= 0) {
		/* Nowhere to put it: stop listening to the client until the guest gives a buffer. */
		loop_modify(console->loop, console->client, 0);
		/* Buffers that came in between: no kick will tell of them. */
		if (virtqueue_enable_notify(vq))
			loop_modify(console->loop, console->client, EPOLLIN);
		return;
	}
	n = recv(console->client, chunk, chain.writable_bytes < CHUNK ? (size_t)chain.writable_bytes : CHUNK, MSG_DONTWAIT);
	if (n <= 0) {
		virtqueue_unpop(vq, chain.head);
		if (n == 0 || errno != EAGAIN)
			drop_client(console);
		return;
	}
	iov_write(chain.writable, chain.nwritable, 0, chunk, (size_t)n);
	virtqueue_push(vq, chain.head, (uint32_t)n);
	virtio_device_notify_used(&console->device, vq);
}

static void client_ready(void *ctx, uint32_t events)
{
	struct console *console = ctx;

	pthread_mutex_lock(&console->device.lock);
	if (events & EPOLLIN)
		receive(console);
	else
		drop_client(console);
	pthread_mutex_unlock(&console->device.lock);
}

static void client_arrives(void *ctx, uint32_t events)
{
	struct console *console = ctx;
	struct err err;
	int fd = accept4(console->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0)
		return;
	pthread_mutex_lock(&console->device.lock);
	drop_client(console);
	if (loop_add(console->loop, fd, EPOLLIN, client_ready, console, &err) < 0)
		close(fd);
	else
		console->client = fd;
	pthread_mutex_unlock(&console->device.lock);
}

static void console_kick(struct virtio_device *device, unsigned int queue)
{
	struct console *console = (struct console *)device;

	if (queue == QUEUE_TRANSMIT)
		transmit(console);
	else if (console->client >= 0)
		loop_modify(console->loop, console->client, EPOLLIN);
}

static void console_reset(struct virtio_device *device)
{
	(void)device;
}

static const struct virtio_device_ops console_ops = {
	.name = "console",
	.id = VIRTIO_ID_CONSOLE,
	.nqueues = QUEUES,
	.queue_size = 64,
	.reset = console_reset,
	.kick = console_kick,
};

struct virtio_device *console_new(const struct memory *mem, struct loop *loop, struct serial *serial, int listen_fd,
				  struct err *err)
{
	struct console *console = calloc(1, sizeof(*console));

	if (!console) {
		err_set(err, ENOMEM, "console");
		return NULL;
	}
	console->loop = loop;
	console->serial = serial;
	console->listen_fd = -1;
	console->client = -1;
	if (virtio_device_init(&console->device, &console_ops, mem, 0, &console->config, sizeof(console->config), err) < 0 ||
	    (listen_fd >= 0 && loop_add(loop, listen_fd, EPOLLIN, client_arrives, console, err) < 0)) {
		console_free(&console->device);
		return NULL;
	}
	console->listen_fd = listen_fd;
	return &console->device;
}

void console_free(struct virtio_device *device)
{
	struct console *console = (struct console *)device;

	if (!console)
		return;
	drop_client(console);
	if (console->listen_fd >= 0)
		loop_remove(console->loop, console->listen_fd);
	virtio_device_done(device);
	free(console);
}
