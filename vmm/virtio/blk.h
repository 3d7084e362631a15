/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-blk (virtio 1.2, 5.2) over a raw file or block device, with io_uring. Formats are never guessed: raw is raw. */
#ifndef VMM_VIRTIO_BLK_H
#define VMM_VIRTIO_BLK_H

#include "vmm/virtio/device.h"

/*
 * fd: the open image, owned by the device on success. read_only: offered to the guest as such, and enforced here. id:
 * what GET_ID answers, at most 20 bytes, copied.
 */
struct virtio_device *blk_new(const struct memory *mem, struct loop *loop, int fd, bool read_only, const char *id,
			      struct err *err);
void blk_free(struct virtio_device *device);

#endif
