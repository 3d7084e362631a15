/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio-mmio transport, version 2 (virtio 1.2, 4.2): registers in front of a struct virtio_device.
 *
 * A window is a page that the guest reads without an exit: KVM has it as read-only memory (api.rst 4.35,
 * KVM_MEM_READONLY). Only writes come here; each one, and whatever else changes what a register reads as, is followed by
 * an update of the page. So an interrupt costs no exit to us: InterruptStatus is read from the page, and the write to
 * InterruptACK that says no more than "used buffers" is swallowed by KVM; our guest kernel spares it (guest-kernel/patches).
 * That bit is never taken back, therefore: an edge tells the driver when to look, the bit only where. The bit for changes of
 * the configuration is acknowledged here.
 *
 * A device is set up by a score of writes, each an exit to us. Our guest kernel gives them as a list (guest-kernel/patches/
 * virtio-mmio-list-of-writes.patch): it puts them into its memory, and the address into a register of ours, and they are done one
 * after the other as if they had been written so. What a driver has to select before it can read it, both halves of the features
 * and how many queues there are, has registers of ours, too. All lie where virtio 1.2, 4.2.2, has none.
 */
#ifndef VMM_VIRTIO_MMIO_H
#define VMM_VIRTIO_MMIO_H

#include <stdbool.h>
#include <stdint.h>

#define VIRTIO_MMIO_WINDOW 0x1000ULL

/* Registers of ours. Read: 32 bits. */
#define VIRTIO_MMIO_CELLA_FEATURES_LOW 0x0d0
#define VIRTIO_MMIO_CELLA_FEATURES_HIGH 0x0d4
#define VIRTIO_MMIO_CELLA_QUEUES 0x0d8
#define VIRTIO_MMIO_CELLA_WRITES 0x0dc /* how many writes a list may have */
/* Write: 64 bits, the address of a struct virtio_mmio_list. */
#define VIRTIO_MMIO_CELLA_LIST 0x0e0

#define VIRTIO_MMIO_LIST_MAX 64U

/* In the guest's memory. */
struct virtio_mmio_list {
	uint32_t n;
	struct {
		uint32_t offset; /* of a register before the configuration space */
		uint32_t value;
	} writes[VIRTIO_MMIO_LIST_MAX];
};

struct virtio_device;

/* Shows the device in a window (VIRTIO_MMIO_WINDOW bytes, borrowed until it is hidden or gone), or nothing: DeviceID 0. */
void virtio_mmio_show(struct virtio_device *device, uint8_t *page);
void virtio_mmio_show_nothing(uint8_t *page);

/* The window shows nothing any more, and the device interrupts nobody. */
void virtio_mmio_hide(struct virtio_device *device);

/* What the registers read as has changed, or the configuration space. Under the device's lock. */
void virtio_mmio_update(struct virtio_device *device);

/* The driver has set DRIVER_OK: the device begins, and looks into all its queues. Under the device's lock. */
void virtio_mmio_activate(struct virtio_device *device);

/* InterruptStatus in the window of a device that is shown; atomic. */
uint32_t *virtio_mmio_interrupt_status(const struct virtio_device *device);

/* A read of a window. KVM's guests read the page themselves. Beyond the window: data stays as it is. */
void virtio_mmio_read(const uint8_t *page, uint64_t offset, void *data, unsigned int len);

/* bus_handler; ctx is a struct virtio_device that is shown. vCPU threads; takes the device's lock. */
void virtio_mmio_access(void *ctx, uint64_t offset, void *data, unsigned int len, bool is_write);

#endif
