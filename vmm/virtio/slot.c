/* SPDX-License-Identifier: Apache-2.0 */
/* A window whose device comes and goes. */
#include "vmm/virtio/slot.h"

#include "vmm/virtio/mmio.h"

void virtio_slot_init(struct virtio_slot *slot, uint8_t *page)
{
	slot->device = NULL;
	slot->page = page;
	virtio_mmio_show_nothing(page);
	pthread_mutex_init(&slot->lock, NULL);
}

void virtio_slot_access(void *ctx, uint64_t offset, void *data, unsigned int len, bool is_write)
{
	struct virtio_slot *slot = ctx;

	pthread_mutex_lock(&slot->lock);
	if (slot->device)
		virtio_mmio_access(slot->device, offset, data, len, is_write);
	else if (!is_write)
		virtio_mmio_read(slot->page, offset, data, len);
	pthread_mutex_unlock(&slot->lock);
}

bool virtio_slot_try_set(struct virtio_slot *slot, struct virtio_device *device)
{
	if (pthread_mutex_trylock(&slot->lock))
		return false;
	if (slot->device)
		virtio_mmio_hide(slot->device);
	slot->device = device;
	if (device)
		virtio_mmio_show(device, slot->page);
	pthread_mutex_unlock(&slot->lock);
	return true;
}
