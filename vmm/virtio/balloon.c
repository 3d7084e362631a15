/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-balloon. */
#include "vmm/virtio/balloon.h"

#include <errno.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_ids.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

/* 5.5.2: queues of features that were not negotiated do not exist, so reporting is the third. */
enum { QUEUE_INFLATE, QUEUE_DEFLATE, QUEUE_REPORTING, QUEUES };

#define PFN_SHIFT VIRTIO_BALLOON_PFN_SHIFT
#define PFNS_PER_REQUEST 256 /* Linux sends that many at the most */
#define CHAINS_PER_KICK 16
#define PAGES_PER_MIB 256

struct balloon {
	struct virtio_device device;
	struct virtio_balloon_config config;
	uint64_t discarded;
};

/* A page outside of RAM is a driver that does not know what it does: 5.5.6 leaves the answer open, we stop it. */
static int inflate(struct balloon *balloon, const struct virtqueue_chain *chain)
{
	uint32_t pfns[PFNS_PER_REQUEST];
	size_t n = iov_read(chain->readable, chain->nreadable, 0, pfns, sizeof(pfns)) / sizeof(pfns[0]);
	size_t i = 0;

	while (i < n) {
		uint64_t first = pfns[i];
		uint64_t count = 1;

		while (i + count < n && pfns[i + count] == first + count)
			count++;
		if (memory_discard(balloon->device.mem, first << PFN_SHIFT, count << PFN_SHIFT) < 0)
			return -EFAULT;
		balloon->discarded += count << PFN_SHIFT;
		i += count;
	}
	return 0;
}

/* 5.5.6.7: the buffers themselves are the free pages. iov was checked to be RAM; whole pages are given back. */
static int report(struct balloon *balloon, const struct virtqueue_chain *chain)
{
	for (size_t i = 0; i < chain->nwritable; i++) {
		const struct iovec *iov = &chain->writable[i];

		if (memory_discard_at(iov->iov_base, iov->iov_len) < 0)
			return -EFAULT;
		balloon->discarded += iov->iov_len;
	}
	return 0;
}

static void balloon_kick(struct virtio_device *device, unsigned int queue)
{
	struct balloon *balloon = (struct balloon *)device;
	struct virtqueue *vq = &device->queues[queue];
	struct virtqueue_chain chain;
	unsigned int budget = CHAINS_PER_KICK;
	uint64_t one = 1;

	do {
		int ret = 0;

		while (budget > 0 && (ret = virtqueue_pop(vq, &chain)) > 0) {
			if (queue == QUEUE_INFLATE)
				ret = inflate(balloon, &chain);
			else if (queue == QUEUE_REPORTING)
				ret = report(balloon, &chain);
			/* Deflating needs nothing: a page comes back when the guest touches it. */
			if (ret < 0)
				break;
			virtqueue_push(vq, chain.head, 0);
			budget--;
		}
		if (ret < 0) {
			virtio_device_needs_reset(device, "malformed request or a page outside of memory");
			return;
		}
	} while (budget > 0 && virtqueue_enable_notify(vq));
	virtio_device_notify_used(device, vq);
	if (budget == 0 && write(device->kicks[queue], &one, sizeof(one)) != sizeof(one))
		virtio_device_needs_reset(device, "cannot wake a queue");
}

static void balloon_reset(struct virtio_device *device)
{
	((struct balloon *)device)->config.actual = 0;
}

static const struct virtio_device_ops balloon_ops = {
	.name = "balloon",
	.id = VIRTIO_ID_BALLOON,
	.nqueues = QUEUES,
	.queue_size = 128,
	.reset = balloon_reset,
	.kick = balloon_kick,
	/* 5.5.4: `actual` is the driver's to write; nothing is derived from it. */
	.config_writable_offset = offsetof(struct virtio_balloon_config, actual),
	.config_writable_len = sizeof(uint32_t),
};

struct virtio_device *balloon_new(const struct memory *mem, struct err *err)
{
	struct balloon *balloon = calloc(1, sizeof(*balloon));
	uint64_t features = 1ULL << VIRTIO_BALLOON_F_REPORTING | 1ULL << VIRTIO_BALLOON_F_DEFLATE_ON_OOM;

	if (!balloon) {
		err_set(err, ENOMEM, "balloon");
		return NULL;
	}
	if (virtio_device_init(&balloon->device, &balloon_ops, mem, features, &balloon->config, sizeof(balloon->config),
			       err) < 0) {
		balloon_free(&balloon->device);
		return NULL;
	}
	return &balloon->device;
}

void balloon_free(struct virtio_device *device)
{
	if (!device)
		return;
	virtio_device_done(device);
	free(device);
}

void balloon_set_target(struct virtio_device *device, uint32_t mib)
{
	struct balloon *balloon = (struct balloon *)device;
	uint32_t limit = (uint32_t)(device->mem->size >> 20);

	pthread_mutex_lock(&device->lock);
	balloon->config.num_pages = (mib < limit ? mib : limit) * PAGES_PER_MIB;
	virtio_device_config_changed(device);
	pthread_mutex_unlock(&device->lock);
}

uint32_t balloon_actual(struct virtio_device *device)
{
	uint32_t pages;

	pthread_mutex_lock(&device->lock);
	pages = ((struct balloon *)device)->config.actual;
	pthread_mutex_unlock(&device->lock);
	return pages / PAGES_PER_MIB;
}

uint64_t balloon_discarded(struct virtio_device *device)
{
	uint64_t bytes;

	pthread_mutex_lock(&device->lock);
	bytes = ((struct balloon *)device)->discarded;
	pthread_mutex_unlock(&device->lock);
	return bytes;
}
