/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-rng. */
#include "vmm/virtio/rng.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#define REQUEST_MAX 4096 /* bytes per request: a guest may ask for gigabytes */
#define REQUESTS_PER_KICK 64

static void rng_kick(struct virtio_device *device, unsigned int queue)
{
	struct virtqueue *vq = &device->queues[queue];
	struct virtqueue_chain chain;
	unsigned int budget = REQUESTS_PER_KICK;
	int ret;

	do {
		while (budget > 0 && (ret = virtqueue_pop(vq, &chain)) > 0) {
			uint8_t bytes[REQUEST_MAX];
			size_t n = chain.writable_bytes < sizeof(bytes) ? (size_t)chain.writable_bytes : sizeof(bytes);
			ssize_t got = n ? getrandom(bytes, n, 0) : 0;

			n = got > 0 ? iov_write(chain.writable, chain.nwritable, 0, bytes, (size_t)got) : 0;
			virtqueue_push(vq, chain.head, (uint32_t)n);
			budget--;
		}
		if (budget > 0 && ret < 0) {
			virtio_device_needs_reset(device, "malformed request");
			return;
		}
	} while (budget > 0 && virtqueue_enable_notify(vq));
	virtio_device_notify_used(device, vq);
	if (budget == 0) {
		/* The rest in the next round of the loop: other devices have their turn first. */
		uint64_t one = 1;

		if (write(device->kicks[queue], &one, sizeof(one)) != sizeof(one))
			virtio_device_needs_reset(device, "cannot wake a queue");
	}
}

static void rng_reset(struct virtio_device *device)
{
	(void)device;
}

static const struct virtio_device_ops rng_ops = {
	.name = "rng",
	.id = VIRTIO_ID_RNG,
	.nqueues = 1,
	.queue_size = 64,
	.reset = rng_reset,
	.kick = rng_kick,
};

struct virtio_device *rng_new(const struct memory *mem, struct err *err)
{
	struct virtio_device *device = calloc(1, sizeof(*device));

	if (!device) {
		err_set(err, ENOMEM, "rng");
		return NULL;
	}
	if (virtio_device_init(device, &rng_ops, mem, 0, NULL, 0, err) < 0) {
		rng_free(device);
		return NULL;
	}
	return device;
}

void rng_free(struct virtio_device *device)
{
	if (!device)
		return;
	virtio_device_done(device);
	free(device);
}
