/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-balloon (virtio 1.2, 5.5): the guest reports pages that it does not use (free page reporting), and gives up
 * memory when a target is set. Either way the host gets the pages back.
 */
#ifndef VMM_VIRTIO_BALLOON_H
#define VMM_VIRTIO_BALLOON_H

#include "vmm/virtio/device.h"

struct virtio_device *balloon_new(const struct memory *mem, struct err *err);
void balloon_free(struct virtio_device *device);

/* Asks the guest to give up this many MiB in all. Takes the lock. I/O thread. */
void balloon_set_target(struct virtio_device *device, uint32_t mib);

/* MiB that the guest says it has given up; a hint, never used for arithmetic on memory. Takes the lock. */
uint32_t balloon_actual(struct virtio_device *device);

/* Bytes discarded since the start, by report or balloon. Takes the lock. */
uint64_t balloon_discarded(struct virtio_device *device);

#endif
