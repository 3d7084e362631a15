/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a snapshot has of a virtio device: what the driver has set, and how far the queues are. A device that has requests
 * of the guest in its hands cannot be saved; one whose class keeps more than this (connections, an open tap) is not saved
 * either: vm.c sees to it that a VM with a snapshot has none of those.
 */
#ifndef VMM_VIRTIO_DEVICE_STATE_H
#define VMM_VIRTIO_DEVICE_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/virtio/device.h"

#define VIRTIO_CONFIG_SIZE_MAX 256

struct virtio_queue_state {
	gpa_t desc, avail, used;
	uint16_t size;
	uint16_t next_avail, next_used, signalled_used;
	uint8_t enabled, event_idx, signalled_valid;
};

struct virtio_device_state {
	uint32_t id; /* 0: there is no device in this window */
	uint32_t status;
	uint64_t driver_features;
	uint32_t feature_select, driver_feature_select, queue_select;
	uint32_t interrupt_status;
	uint32_t config_generation;
	uint32_t config_size;
	uint8_t config[VIRTIO_CONFIG_SIZE_MAX];
	struct virtio_queue_state queues[VIRTIO_QUEUES_MAX];
};

/* The vCPUs do not run. Takes the lock. EBUSY: a request is being served. */
int virtio_device_save(struct virtio_device *device, struct virtio_device_state *state, struct err *err) must_check;

/*
 * Into a new device of the same class, which is shown in its window; a device that was active is again, and looks into
 * all its queues, for notifications and interrupts that were on their way. Takes the lock; before the vCPUs run.
 */
int virtio_device_restore(struct virtio_device *device, const struct virtio_device_state *state, struct err *err) must_check;

#endif
