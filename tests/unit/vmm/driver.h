/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole device and the guest driver in front of it, for tests: queues at fixed places in guest memory, chains offered
 * descriptor by descriptor, kicks delivered as the I/O loop would. guest.h looks at a single queue instead.
 */
#ifndef TESTS_UNIT_VMM_DRIVER_H
#define TESTS_UNIT_VMM_DRIVER_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/loop.h"
#include "tests/unit/vmm/guest.h"
#include "vmm/virtio/device.h"
#include "vmm/virtio/mmio.h"

#define DRIVER_QUEUE_SIZE 16
#define DRIVER_DESC(queue) (0x1000ULL + (queue) * 0x3000ULL)
#define DRIVER_AVAIL(queue) (DRIVER_DESC(queue) + 0x1000)
#define DRIVER_USED(queue) (DRIVER_DESC(queue) + 0x2000)
#define DRIVER_GROWTH (4 * MEMORY_BLOCK) /* nothing of it is open */
#define DRIVER_DATA 0x100000ULL /* the rest of guest memory is the test's */

struct driver {
	struct memory *mem;
	struct loop *loop;
	struct virtio_device *device; /* set by the test before driver_start */
	uint8_t page[VIRTIO_MMIO_WINDOW] __attribute__((aligned(8))); /* what the guest reads of it */
};

/* The descriptor that follows in a chain. */
struct driver_buffer {
	uint64_t addr;
	uint32_t len;
	uint16_t flags; /* VRING_DESC_F_WRITE or 0; NEXT is added where another follows */
};

static inline void driver_init(struct driver *driver)
{
	struct err err;

	driver->mem = memory_new(GUEST_MEMORY, DRIVER_GROWTH, &err);
	driver->loop = loop_new(&err);
	driver->device = NULL;
	if (!driver->mem || !driver->loop)
		abort();
}

static inline void driver_done(struct driver *driver)
{
	loop_free(driver->loop);
	memory_free(driver->mem);
}

/* Enables all queues and sets the device to work, as a driver's DRIVER_OK does. Also after a reset. */
static inline void driver_start(struct driver *driver)
{
	struct virtio_device *device = driver->device;

	virtio_mmio_show(device, driver->page);
	memset(memory_at(driver->mem, DRIVER_DESC(0), 0x20000), 0, 0x20000);
	for (unsigned int i = 0; i < device->ops->nqueues; i++) {
		device->queues[i].size = DRIVER_QUEUE_SIZE;
		device->queues[i].desc = DRIVER_DESC(i);
		device->queues[i].avail = DRIVER_AVAIL(i);
		device->queues[i].used = DRIVER_USED(i);
		if (virtqueue_enable(&device->queues[i]) < 0)
			abort();
	}
	device->active = true;
}

static inline uint16_t *driver_avail(struct driver *driver, unsigned int queue)
{
	return memory_at(driver->mem, DRIVER_AVAIL(queue), 64);
}

/* Offers a chain of n buffers in the descriptors from `first` on, and counts it after that (virtio 1.2 2.7.13.3). */
static inline void driver_offer(struct driver *driver, unsigned int queue, unsigned int first,
				const struct driver_buffer *buffers, unsigned int n)
{
	struct vring_desc *table = memory_at(driver->mem, DRIVER_DESC(queue), DRIVER_QUEUE_SIZE * 16);
	uint16_t *avail = driver_avail(driver, queue);

	for (unsigned int i = 0; i < n; i++)
		table[first + i] = (struct vring_desc){
			.addr = buffers[i].addr,
			.len = buffers[i].len,
			.flags = (uint16_t)(buffers[i].flags | (i + 1 < n ? VRING_DESC_F_NEXT : 0)),
			.next = (uint16_t)(first + i + 1),
		};
	avail[2 + avail[1] % DRIVER_QUEUE_SIZE] = (uint16_t)first;
	__atomic_store_n(&avail[1], (uint16_t)(avail[1] + 1), __ATOMIC_RELEASE);
}

static inline void driver_step(struct driver *driver)
{
	for (int i = 0; i < 100 && loop_step(driver->loop, 0) > 0; i++)
		;
}

static inline void driver_kick(struct driver *driver, unsigned int queue)
{
	struct virtio_device *device = driver->device;

	pthread_mutex_lock(&device->lock);
	device->ops->kick(device, queue);
	pthread_mutex_unlock(&device->lock);
	driver_step(driver);
}

/* How many chains came back. What a device's thread wrote before it counted them may be read then (virtio 1.2 2.7.8). */
static inline unsigned int driver_used(struct driver *driver, unsigned int queue)
{
	return __atomic_load_n((uint16_t *)memory_at(driver->mem, DRIVER_USED(queue), 64) + 1, __ATOMIC_ACQUIRE);
}

/* The n-th used element: which chain, and how many bytes the device says that it wrote. */
static inline uint32_t driver_used_head(struct driver *driver, unsigned int queue, unsigned int n)
{
	uint16_t *used = memory_at(driver->mem, DRIVER_USED(queue), 256);

	return ((uint32_t *)(used + 2))[2 * (n % DRIVER_QUEUE_SIZE)];
}

static inline uint32_t driver_used_len(struct driver *driver, unsigned int queue, unsigned int n)
{
	uint16_t *used = memory_at(driver->mem, DRIVER_USED(queue), 256);

	return ((uint32_t *)(used + 2))[2 * (n % DRIVER_QUEUE_SIZE) + 1];
}

static inline void *driver_data(struct driver *driver, uint64_t offset, uint64_t len)
{
	return memory_at(driver->mem, DRIVER_DATA + offset, len);
}

#endif
