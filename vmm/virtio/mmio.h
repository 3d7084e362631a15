/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio-mmio transport, version 2 (virtio 1.2, 4.2): registers in front of a struct virtio_device. */
#ifndef VMM_VIRTIO_MMIO_H
#define VMM_VIRTIO_MMIO_H

#include <stdbool.h>
#include <stdint.h>

#define VIRTIO_MMIO_WINDOW 0x1000ULL

/* bus_handler; ctx is the struct virtio_device. vCPU threads; takes the device's lock. */
void virtio_mmio_access(void *ctx, uint64_t offset, void *data, unsigned int len, bool is_write);

/* A window without a device. */
void virtio_mmio_access_empty(uint64_t offset, void *data, unsigned int len, bool is_write);

#endif
