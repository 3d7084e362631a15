/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-mem (virtio 1.2, 5.15): memory that grows and shrinks while the VM runs. The host says how much it shall be; the
 * guest plugs and unplugs blocks of the growth range (memory.h) until it is so.
 */
#ifndef VMM_VIRTIO_MEM_H
#define VMM_VIRTIO_MEM_H

#include "vmm/virtio/device.h"

#define MEM_BLOCK (2ULL << 20) /* what is plugged at once: a huge page */

/* mem has a growth range; borrowed, as everywhere. */
struct virtio_device *mem_new(const struct memory *mem, struct err *err);
void mem_free(struct virtio_device *device);

/*
 * Asks the guest to have bytes (rounded down to MEM_BLOCK) of the growth range, of which usable are open to it. Takes
 * the lock. I/O thread.
 */
void mem_request(struct virtio_device *device, uint64_t bytes, uint64_t usable);

/* Bytes that the guest has plugged. Takes the lock. */
uint64_t mem_plugged(struct virtio_device *device);

#endif
