/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all virtio devices share: status, features, queues, configuration space, interrupt. The class is a const ops
 * table; an instance embeds struct virtio_device as its first member.
 *
 * Threads. Register accesses come from vCPU threads (mmio.c), queue work from the I/O thread or a device's own workers.
 * device->lock guards everything here and the device's own state; mmio.c and the I/O thread take it around every
 * callback. A worker that serves a request without the lock raises in_flight while it does, so that a reset waits.
 */
#ifndef VMM_VIRTIO_DEVICE_H
#define VMM_VIRTIO_DEVICE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/loop.h"
#include "vmm/virtio/virtqueue.h"

#define VIRTIO_QUEUES_MAX 8

struct virtio_device;

struct virtio_device_ops {
	const char *name;
	uint32_t id; /* virtio 1.2, 5 */
	unsigned int nqueues;
	uint16_t queue_size; /* at most VIRTQUEUE_SIZE_MAX */
	bool own_workers;    /* the device waits for kicks itself: none is delivered by the I/O loop */
	/* The driver has set DRIVER_OK and the queues are enabled. 0 or -errno (the device then needs a reset). */
	int (*activate)(struct virtio_device *device);
	/* Back to the state before activate. in_flight is 0. */
	void (*reset)(struct virtio_device *device);
	/* There may be buffers in this queue. */
	void (*kick)(struct virtio_device *device, unsigned int queue);
	/* The one part of the configuration space that the driver may write, and how long it is; 0: read only. */
	uint32_t config_writable_offset;
	uint32_t config_writable_len;
};

/* What the I/O loop gives back when a queue is kicked. */
struct virtio_queue_source {
	struct virtio_device *device;
	unsigned int queue;
};

struct virtio_device {
	const struct virtio_device_ops *ops;
	const struct memory *mem; /* borrowed */
	pthread_mutex_t lock;
	pthread_cond_t idle; /* in_flight fell to 0, or a reset is done */
	unsigned int in_flight;
	bool reset_wanted;  /* a vCPU thread waits for the I/O thread to reset the device */
	int reset_event;    /* eventfd, owned: wakes the I/O thread for it */

	uint64_t features;	 /* offered */
	uint64_t driver_features; /* taken, a subset */
	uint8_t *config;	 /* borrowed from the instance */
	uint32_t config_size;
	uint32_t config_generation;

	uint32_t status;
	bool active;
	uint8_t *page; /* borrowed: what the guest reads of the device (mmio.h); NULL: it is not shown */
	int irq;			     /* eventfd, owned */
	int kicks[VIRTIO_QUEUES_MAX];	     /* eventfds, owned */
	struct virtio_queue_source sources[VIRTIO_QUEUES_MAX];
	struct virtqueue queues[VIRTIO_QUEUES_MAX];
	/* Transport registers. */
	uint32_t feature_select, driver_feature_select, queue_select;
};

/* Sets up the common part and creates the eventfds. features: without VIRTIO_F_VERSION_1 and EVENT_IDX, added here. */
int virtio_device_init(struct virtio_device *device, const struct virtio_device_ops *ops, const struct memory *mem,
		       uint64_t features, void *config, uint32_t config_size, struct err *err) must_check;

/* Resets the device and closes the eventfds. */
void virtio_device_done(struct virtio_device *device);

/* Has the I/O loop deliver kicks (a class with own_workers needs none). */
int virtio_device_watch(struct virtio_device *device, struct loop *loop, struct err *err) must_check;

/* Undoes virtio_device_watch, for a device that goes before the VM does. */
void virtio_device_unwatch(struct virtio_device *device, struct loop *loop);

/* Interrupts the guest if it wants to hear of this queue. Under the lock. */
void virtio_device_notify_used(struct virtio_device *device, struct virtqueue *vq);

/* Raises the line for what InterruptStatus says already. Under the lock. */
void virtio_device_interrupt_again(struct virtio_device *device);

/* The guest broke a rule: DEVICE_NEEDS_RESET and a configuration interrupt (2.1.2). Under the lock. */
void virtio_device_needs_reset(struct virtio_device *device, const char *why);

/* The configuration space changed: generation and interrupt. Under the lock. */
void virtio_device_config_changed(struct virtio_device *device);

/*
 * The driver resets the device (vCPU thread, under the lock, which is released while waiting). Devices' sources belong
 * to the I/O loop, so the I/O thread does it: virtio_device_serve_reset.
 */
void virtio_device_reset(struct virtio_device *device);

/* Does a reset that is wanted. I/O thread; takes the lock. */
void virtio_device_serve_reset(struct virtio_device *device);

#endif
