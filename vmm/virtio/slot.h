/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio-mmio window whose device comes and goes while the VM runs. Empty, it has DeviceID 0, which a driver ignores
 * (virtio 1.2, 4.2.3.1.1); once a device is there the guest's agent has the driver look again.
 */
#ifndef VMM_VIRTIO_SLOT_H
#define VMM_VIRTIO_SLOT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct virtio_device;

struct virtio_slot {
	pthread_mutex_t lock;
	struct virtio_device *device; /* borrowed; under the lock; NULL: empty */
	uint8_t *page;		      /* borrowed: what the guest reads (mmio.h) */
};

void virtio_slot_init(struct virtio_slot *slot, uint8_t *page);

/* bus_handler; ctx is the struct virtio_slot. vCPU threads. */
void virtio_slot_access(void *ctx, uint64_t offset, void *data, unsigned int len, bool is_write);

/*
 * Fills or empties (NULL) the slot: when this returns no vCPU is in the old device. I/O thread. false: a vCPU is in it,
 * perhaps because it waits for the I/O thread; serve resets and try again.
 */
bool virtio_slot_try_set(struct virtio_slot *slot, struct virtio_device *device);

#endif
