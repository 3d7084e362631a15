/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-blk (virtio 1.2, 5.2) over a raw file or block device, with io_uring. Formats are never guessed: raw is raw. */
#ifndef VMM_VIRTIO_BLK_H
#define VMM_VIRTIO_BLK_H

#include "vmm/virtio/device.h"

struct disk_ring;

/*
 * ring: borrowed, and outlives the device. fd: the open image, owned by the device on success. read_only: offered to the guest as such, and enforced here. id:
 * what GET_ID answers, at most 20 bytes, copied.
 */
struct virtio_device *blk_new(const struct memory *mem, struct disk_ring *ring, int fd, bool read_only, const char *id,
			      struct err *err);
/* Waits for requests that are under way. I/O thread, or after it. */
void blk_free(struct virtio_device *device);

#endif
