/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-net.
 *
 * Theory of operation. From the guest: a chain is a packet; it goes to the tap as it is, header included, in one
 * writev(2). The kernel copies it once and checks the header on its copy. To the guest: a packet is read into a buffer
 * of ours, then spread over as many chains as it needs (mergeable buffers, 5.1.6.4); they are published together. When
 * the guest has too few, the packet waits and the tap is not read, so that the loss happens where it is counted.
 *
 * All of it runs on the I/O thread under the device's lock.
 */
#include "vmm/virtio/net.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/log.h"
#include "vmm/rate_limit.h"

enum { QUEUE_RX, QUEUE_TX, QUEUES };

#define HEADER_BYTES sizeof(struct virtio_net_hdr_v1)
#define PACKET_MAX (65536 + 14 + HEADER_BYTES) /* the largest segment that offload hands over, with its frame header */
#define BUFFERS_MAX 64			       /* that one packet is spread over */
#define PACKETS_PER_ROUND 64

struct net {
	struct virtio_device device;
	struct virtio_net_config config;
	struct loop *loop; /* borrowed */
	int tap;	   /* owned */
	struct rate_limit rx, tx;
	size_t waiting;	   /* bytes of the packet that waits for buffers; 0: none */
	uint8_t packet[PACKET_MAX];
};

/* Chains that a packet is being spread over, not published yet. */
struct spread {
	struct virtqueue_used used[BUFFERS_MAX];
	unsigned int n;
	size_t bytes;
};

static bool has_feature(const struct net *net, unsigned int bit)
{
	return net->device.driver_features >> bit & 1;
}

static void give_back(struct virtqueue *vq, const struct spread *spread)
{
	for (unsigned int i = spread->n; i > 0; i--)
		virtqueue_unpop(vq, spread->used[i - 1].head);
}

/*
 * Spreads the waiting packet. 1: done, or dropped because no number of buffers will do; 0: there are too few buffers
 * yet; -errno: the guest broke a rule.
 */
static int deliver(struct net *net)
{
	struct virtqueue *vq = &net->device.queues[QUEUE_RX];
	unsigned int most = has_feature(net, VIRTIO_NET_F_MRG_RXBUF) ? BUFFERS_MAX : 1;
	struct virtqueue_chain chain;
	struct spread spread = { .n = 0 };
	struct iovec first[VIRTQUEUE_SIZE_MAX];
	size_t nfirst = 0;
	uint16_t count;

	while (spread.bytes < net->waiting) {
		size_t part;
		int ret = spread.n < most ? virtqueue_pop(vq, &chain) : 0;

		if (ret > 0 && (chain.nreadable || chain.writable_bytes < HEADER_BYTES))
			ret = -EBADMSG;
		if (ret < 0)
			return ret;
		/* Asked for here, where the ring is empty: what is given back below is not news. */
		if (ret == 0 && spread.n < most && virtqueue_enable_notify(vq))
			continue;
		if (ret == 0) {
			give_back(vq, &spread);
			return spread.n == most;
		}
		part = iov_write(chain.writable, chain.nwritable, 0, net->packet + spread.bytes, net->waiting - spread.bytes);
		if (spread.n == 0) {
			nfirst = chain.nwritable;
			memcpy(first, chain.writable, nfirst * sizeof(first[0]));
		}
		spread.used[spread.n++] = (struct virtqueue_used){ .head = chain.head, .written = (uint32_t)part };
		spread.bytes += part;
	}
	/* 5.1.6.4.1: 1 where buffers are not merged. */
	count = (uint16_t)spread.n;
	iov_write(first, nfirst, offsetof(struct virtio_net_hdr_v1, num_buffers), &count, sizeof(count));
	virtqueue_push_all(vq, spread.used, spread.n);
	return 1;
}

/* Packets from the tap to the guest, until there are none, or no buffers, or others should have their turn. */
static void receive(struct net *net)
{
	struct virtqueue *vq = &net->device.queues[QUEUE_RX];

	for (unsigned int budget = PACKETS_PER_ROUND; budget > 0; budget--) {
		int ret;

		if (!net->waiting) {
			ssize_t n;

			if (!rate_limit_open(&net->rx)) {
				loop_modify(net->loop, net->tap, 0);
				break;
			}
			n = read(net->tap, net->packet, sizeof(net->packet));
			if (n < (ssize_t)HEADER_BYTES)
				break;
			rate_limit_spend(&net->rx, (size_t)n);
			net->waiting = (size_t)n;
		}
		ret = deliver(net);
		if (ret == 0) {
			loop_modify(net->loop, net->tap, 0);
			break;
		}
		if (ret < 0) {
			virtio_device_needs_reset(&net->device, "malformed receive buffer");
			loop_modify(net->loop, net->tap, 0);
			return;
		}
		net->waiting = 0;
	}
	virtio_device_notify_used(&net->device, vq);
}

static void tap_ready(void *ctx, uint32_t events)
{
	struct net *net = ctx;

	(void)events;
	pthread_mutex_lock(&net->device.lock);
	if (net->device.active)
		receive(net);
	else
		loop_modify(net->loop, net->tap, 0);
	pthread_mutex_unlock(&net->device.lock);
}

static void transmit(struct net *net)
{
	struct virtqueue *vq = &net->device.queues[QUEUE_TX];
	struct virtqueue_chain chain;
	unsigned int budget = PACKETS_PER_ROUND;
	uint64_t one = 1;

	do {
		int ret = 0;

		while (budget > 0 && rate_limit_open(&net->tx) && (ret = virtqueue_pop(vq, &chain)) > 0) {
			/* What the kernel refuses (a header that lies, an interface that is down) is lost, as on a wire. */
			if (chain.readable_bytes >= HEADER_BYTES && chain.readable_bytes <= PACKET_MAX &&
			    writev(net->tap, chain.readable, (int)chain.nreadable) < 0)
				log_debug("net: packet lost: %s", strerror(errno));
			rate_limit_spend(&net->tx, chain.readable_bytes);
			virtqueue_push(vq, chain.head, 0);
			budget--;
		}
		if (ret < 0) {
			virtio_device_needs_reset(&net->device, "malformed packet");
			return;
		}
		/* The limit calls when there is room again; kicks before that find it closed. */
	} while (budget > 0 && rate_limit_open(&net->tx) && virtqueue_enable_notify(vq));
	virtio_device_notify_used(&net->device, vq);
	if (budget == 0 && write(net->device.kicks[QUEUE_TX], &one, sizeof(one)) != sizeof(one))
		virtio_device_needs_reset(&net->device, "cannot wake a queue");
}

static void receive_allowed(void *ctx, uint32_t events)
{
	struct net *net = ctx;

	(void)events;
	pthread_mutex_lock(&net->device.lock);
	rate_limit_wake(&net->rx);
	if (net->device.active)
		loop_modify(net->loop, net->tap, EPOLLIN);
	pthread_mutex_unlock(&net->device.lock);
}

static void transmit_allowed(void *ctx, uint32_t events)
{
	struct net *net = ctx;

	(void)events;
	pthread_mutex_lock(&net->device.lock);
	rate_limit_wake(&net->tx);
	if (net->device.active)
		transmit(net);
	pthread_mutex_unlock(&net->device.lock);
}

static void net_kick(struct virtio_device *device, unsigned int queue)
{
	struct net *net = (struct net *)device;

	if (queue == QUEUE_TX)
		transmit(net);
	else
		loop_modify(net->loop, net->tap, EPOLLIN);
}

/* The tap hands over just what this driver can take. */
static int net_activate(struct virtio_device *device)
{
	struct net *net = (struct net *)device;
	unsigned long offloads = 0;

	if (has_feature(net, VIRTIO_NET_F_GUEST_CSUM)) {
		offloads |= TUN_F_CSUM;
		if (has_feature(net, VIRTIO_NET_F_GUEST_TSO4))
			offloads |= TUN_F_TSO4;
		if (has_feature(net, VIRTIO_NET_F_GUEST_TSO6))
			offloads |= TUN_F_TSO6;
	}
	/* ENOTTY: no tap but a socket, as tests have; it makes no segments. */
	return ioctl(net->tap, TUNSETOFFLOAD, offloads) < 0 && errno != ENOTTY ? -errno : 0;
}

static void net_reset(struct virtio_device *device)
{
	struct net *net = (struct net *)device;

	net->waiting = 0;
	loop_modify(net->loop, net->tap, 0);
}

static const struct virtio_device_ops net_ops = {
	.name = "net",
	.id = VIRTIO_ID_NET,
	.nqueues = QUEUES,
	.queue_size = VIRTQUEUE_SIZE_MAX,
	.activate = net_activate,
	.reset = net_reset,
	.kick = net_kick,
};

#define FEATURE(name) (1ULL << VIRTIO_NET_F_##name)

struct virtio_device *net_new(const struct memory *mem, struct loop *loop, int tap, const uint8_t mac[NET_MAC_BYTES],
			      uint64_t bytes_per_second, struct err *err)
{
	/*
	 * No STATUS: the link is always up. With it Linux first marks it as down, and may take a second to notice that it is not
	 * (net/core/link_watch.c): programs that start at once would find no network.
	 */
	uint64_t features = FEATURE(MAC) | FEATURE(CSUM) | FEATURE(GUEST_CSUM) | FEATURE(HOST_TSO4) |
			    FEATURE(HOST_TSO6) | FEATURE(GUEST_TSO4) | FEATURE(GUEST_TSO6) | FEATURE(MRG_RXBUF);
	struct net *net = calloc(1, sizeof(*net));

	if (!net) {
		err_set(err, ENOMEM, "net");
		return NULL;
	}
	net->loop = loop;
	net->tap = net->rx.timer = net->tx.timer = -1;
	memcpy(net->config.mac, mac, NET_MAC_BYTES);
	if (virtio_device_init(&net->device, &net_ops, mem, features, &net->config, sizeof(net->config), err) < 0) {
		net_free(&net->device);
		return NULL;
	}
	if (fcntl(tap, F_SETFL, O_NONBLOCK) < 0) {
		err_set(err, errno, "net: set up the tap");
		net_free(&net->device);
		return NULL;
	}
	if (rate_limit_init(&net->rx, bytes_per_second, loop, receive_allowed, net, err) < 0 ||
	    rate_limit_init(&net->tx, bytes_per_second, loop, transmit_allowed, net, err) < 0 ||
	    loop_add(loop, tap, 0, tap_ready, net, err) < 0) {
		net_free(&net->device);
		return NULL;
	}
	net->tap = tap;
	return &net->device;
}

void net_free(struct virtio_device *device)
{
	struct net *net = (struct net *)device;

	if (!net)
		return;
	virtio_device_done(device);
	rate_limit_done(&net->rx);
	rate_limit_done(&net->tx);
	if (net->tap >= 0) {
		loop_remove(net->loop, net->tap);
		close(net->tap);
	}
	free(net);
}
