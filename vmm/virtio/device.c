/* SPDX-License-Identifier: Apache-2.0 */
/* The part that all virtio devices share. */
#include "vmm/virtio/device.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/log.h"
#include "vmm/virtio/mmio.h"

int virtio_device_init(struct virtio_device *device, const struct virtio_device_ops *ops, const struct memory *mem,
		       uint64_t features, void *config, uint32_t config_size, struct err *err)
{
	memset(device, 0, sizeof(*device));
	device->ops = ops;
	device->mem = mem;
	device->features = features | 1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_RING_F_EVENT_IDX;
	device->config = config;
	device->config_size = config_size;
	device->irq = device->reset_event = -1;
	pthread_mutex_init(&device->lock, NULL);
	pthread_cond_init(&device->idle, NULL);
	for (unsigned int i = 0; i < VIRTIO_QUEUES_MAX; i++) {
		device->kicks[i] = -1;
		device->queues[i].mem = mem;
	}
	device->irq = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	device->reset_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (device->irq < 0 || device->reset_event < 0)
		return err_set(err, errno, "%s: create an eventfd", ops->name);
	for (unsigned int i = 0; i < ops->nqueues; i++) {
		device->kicks[i] = eventfd(0, EFD_CLOEXEC | (ops->own_workers ? 0 : EFD_NONBLOCK));
		if (device->kicks[i] < 0)
			return err_set(err, errno, "%s: create an eventfd", ops->name);
	}
	return 0;
}

/* Waits for workers, then forgets everything. Under the lock. */
static void reset(struct virtio_device *device)
{
	bool was_active = device->active;

	device->active = false;
	while (device->in_flight > 0)
		pthread_cond_wait(&device->idle, &device->lock);
	if (was_active)
		device->ops->reset(device);
	for (unsigned int i = 0; i < VIRTIO_QUEUES_MAX; i++)
		virtqueue_reset(&device->queues[i]);
	device->status = 0;
	device->driver_features = 0;
	if (device->page)
		__atomic_store_n(virtio_mmio_interrupt_status(device), 0, __ATOMIC_SEQ_CST);
	device->feature_select = device->driver_feature_select = device->queue_select = 0;
	virtio_mmio_update(device);
}

void virtio_device_done(struct virtio_device *device)
{
	pthread_mutex_lock(&device->lock);
	reset(device);
	pthread_mutex_unlock(&device->lock);
	if (device->irq >= 0)
		close(device->irq);
	if (device->reset_event >= 0)
		close(device->reset_event);
	for (unsigned int i = 0; i < device->ops->nqueues; i++)
		if (device->kicks[i] >= 0)
			close(device->kicks[i]);
}

/* The eventfd is watched for edges and never read: a write is an edge, whatever its count is (epoll(7)). */
static void kicked(void *ctx, uint32_t events)
{
	const struct virtio_queue_source *source = ctx;
	struct virtio_device *device = source->device;

	(void)events;
	pthread_mutex_lock(&device->lock);
	if (device->active)
		device->ops->kick(device, source->queue);
	pthread_mutex_unlock(&device->lock);
}

static void reset_arrived(void *ctx, uint32_t events)
{
	struct virtio_device *device = ctx;
	uint64_t count;

	(void)events;
	if (read(device->reset_event, &count, sizeof(count)) == sizeof(count))
		virtio_device_serve_reset(device);
}

int virtio_device_watch(struct virtio_device *device, struct loop *loop, struct err *err)
{
	if (loop_add(loop, device->reset_event, EPOLLIN, reset_arrived, device, err) < 0)
		return -err->code;
	for (unsigned int i = 0; i < device->ops->nqueues && !device->ops->own_workers; i++) {
		device->sources[i] = (struct virtio_queue_source){ device, i };
		if (loop_add(loop, device->kicks[i], EPOLLIN | EPOLLET, kicked, &device->sources[i], err) < 0)
			return -err->code;
	}
	return 0;
}

void virtio_device_unwatch(struct virtio_device *device, struct loop *loop)
{
	loop_remove(loop, device->reset_event);
	for (unsigned int i = 0; i < device->ops->nqueues && !device->ops->own_workers; i++)
		loop_remove(loop, device->kicks[i]);
}

void virtio_device_interrupt_again(struct virtio_device *device)
{
	uint64_t one = 1;

	/* EAGAIN would mean 2^64 - 2 pending interrupts: there is one pending either way. */
	if (write(device->irq, &one, sizeof(one)) != sizeof(one) && errno != EAGAIN)
		log_warn_limited("%s: interrupt: %s, the guest may stall", device->ops->name, strerror(errno));
}

static void interrupt(struct virtio_device *device, uint32_t reason)
{
	if (!device->page)
		return;
	__atomic_or_fetch(virtio_mmio_interrupt_status(device), reason, __ATOMIC_SEQ_CST);
	virtio_device_interrupt_again(device);
}

void virtio_device_notify_used(struct virtio_device *device, struct virtqueue *vq)
{
	if (virtqueue_should_interrupt(vq))
		interrupt(device, VIRTIO_MMIO_INT_VRING);
}

void virtio_device_needs_reset(struct virtio_device *device, const char *why)
{
	log_warn_limited("%s: %s; the device waits for a reset", device->ops->name, why);
	if (device->status & VIRTIO_CONFIG_S_NEEDS_RESET)
		return;
	device->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	for (unsigned int i = 0; i < device->ops->nqueues; i++)
		device->queues[i].broken = true;
	virtio_mmio_update(device);
	/* 2.1.2: the driver is told only if it has got as far as DRIVER_OK. */
	if (device->status & VIRTIO_CONFIG_S_DRIVER_OK)
		interrupt(device, VIRTIO_MMIO_INT_CONFIG);
}

void virtio_device_config_changed(struct virtio_device *device)
{
	device->config_generation++;
	virtio_mmio_update(device);
	if (device->active)
		interrupt(device, VIRTIO_MMIO_INT_CONFIG);
}

void virtio_device_reset(struct virtio_device *device)
{
	uint64_t one = 1;

	if (!device->active) {
		reset(device);
		return;
	}
	device->reset_wanted = true;
	if (write(device->reset_event, &one, sizeof(one)) != sizeof(one))
		log_warn_limited("%s: cannot ask for a reset: %s", device->ops->name, strerror(errno));
	while (device->reset_wanted)
		pthread_cond_wait(&device->idle, &device->lock);
}

void virtio_device_serve_reset(struct virtio_device *device)
{
	pthread_mutex_lock(&device->lock);
	if (device->reset_wanted) {
		reset(device);
		device->reset_wanted = false;
		pthread_cond_broadcast(&device->idle);
	}
	pthread_mutex_unlock(&device->lock);
}
