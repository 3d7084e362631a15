/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-net (virtio 1.2, 5.1) over a tap device: one queue pair, checksum and segmentation offload, merged buffers. */
#ifndef VMM_VIRTIO_NET_H
#define VMM_VIRTIO_NET_H

#include "vmm/virtio/device.h"

#define NET_MAC_BYTES 6

/*
 * tap: a tap descriptor with IFF_NO_PI | IFF_VNET_HDR and a header of 12 bytes, owned on success. Packets have the
 * virtio header in front on both sides; the host's kernel checks the guest's. bytes_per_second: the most each way, 0: no
 * limit. NULL and err on failure.
 */
struct virtio_device *net_new(const struct memory *mem, struct loop *loop, int tap, const uint8_t mac[NET_MAC_BYTES],
			      uint64_t bytes_per_second, struct err *err);
void net_free(struct virtio_device *device);

#endif
