/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-mmio registers: the page that a guest reads, and its writes. */
#include "vmm/virtio/mmio.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <string.h>
#include <unistd.h>

#include "vmm/virtio/device.h"

#define MAGIC 0x74726976 /* "virt" */
#define VERSION 2
#define VENDOR 0x616c6c65 /* "ella": any value will do */

#define STATUS_SETUP (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK)

static struct virtqueue *selected(struct virtio_device *device)
{
	return device->queue_select < device->ops->nqueues ? &device->queues[device->queue_select] : NULL;
}

static uint32_t read_features(const struct virtio_device *device)
{
	return device->feature_select < 2 ? (uint32_t)(device->features >> (32 * device->feature_select)) : 0;
}

uint32_t *virtio_mmio_interrupt_status(const struct virtio_device *device)
{
	return (uint32_t *)(device->page + VIRTIO_MMIO_INTERRUPT_STATUS);
}

/* One 32-bit register, so that a vCPU that reads it sees the old value or the new one. */
static void show(struct virtio_device *device, unsigned int offset, uint32_t value)
{
	__atomic_store_n((uint32_t *)(device->page + offset), value, __ATOMIC_RELEASE);
}

void virtio_mmio_update(struct virtio_device *device)
{
	const struct virtqueue *vq = selected(device);

	if (!device->page)
		return;
	show(device, VIRTIO_MMIO_DEVICE_FEATURES, read_features(device));
	show(device, VIRTIO_MMIO_QUEUE_NUM_MAX, vq ? device->ops->queue_size : 0);
	show(device, VIRTIO_MMIO_QUEUE_READY, vq && vq->enabled);
	show(device, VIRTIO_MMIO_STATUS, device->status);
	if (device->config_size)
		memcpy(device->page + VIRTIO_MMIO_CONFIG, device->config, device->config_size);
	/* After what it speaks of: a driver that reads the old one twice around it reads again upon the interrupt. */
	show(device, VIRTIO_MMIO_CONFIG_GENERATION, device->config_generation);
}

void virtio_mmio_show_nothing(uint8_t *page)
{
	memset(page, 0, VIRTIO_MMIO_WINDOW);
	*(uint32_t *)(page + VIRTIO_MMIO_MAGIC_VALUE) = MAGIC;
	*(uint32_t *)(page + VIRTIO_MMIO_VERSION) = VERSION;
}

void virtio_mmio_show(struct virtio_device *device, uint8_t *page)
{
	pthread_mutex_lock(&device->lock);
	virtio_mmio_show_nothing(page);
	device->page = page;
	show(device, VIRTIO_MMIO_VENDOR_ID, VENDOR);
	/* 4.2.2: a length of -1 says that there is no such region. */
	show(device, VIRTIO_MMIO_SHM_LEN_LOW, 0xffffffff);
	show(device, VIRTIO_MMIO_SHM_LEN_HIGH, 0xffffffff);
	show(device, VIRTIO_MMIO_CELLA_FEATURES_LOW, (uint32_t)device->features);
	show(device, VIRTIO_MMIO_CELLA_FEATURES_HIGH, (uint32_t)(device->features >> 32));
	show(device, VIRTIO_MMIO_CELLA_QUEUES, device->ops->nqueues);
	show(device, VIRTIO_MMIO_CELLA_WRITES, VIRTIO_MMIO_LIST_MAX);
	virtio_mmio_update(device);
	show(device, VIRTIO_MMIO_DEVICE_ID, device->ops->id);
	pthread_mutex_unlock(&device->lock);
}

static void write_driver_features(struct virtio_device *device, uint32_t value)
{
	unsigned int shift = 32 * device->driver_feature_select;

	if (device->driver_feature_select > 1 || device->status & VIRTIO_CONFIG_S_FEATURES_OK)
		return;
	device->driver_features &= ~(0xffffffffULL << shift);
	device->driver_features |= (uint64_t)value << shift;
}

void virtio_mmio_activate(struct virtio_device *device)
{
	uint64_t one = 1;

	device->active = true;
	if (device->ops->activate && device->ops->activate(device) < 0) {
		device->active = false;
		virtio_device_needs_reset(device, "cannot start");
		return;
	}
	/* A notification that came earlier must not be lost. */
	for (unsigned int i = 0; i < device->ops->nqueues; i++)
		if (virtqueue_enable_notify(&device->queues[i]) && write(device->kicks[i], &one, sizeof(one)) != sizeof(one))
			virtio_device_needs_reset(device, "cannot wake a queue");
}

static void write_status(struct virtio_device *device, uint32_t value)
{
	uint32_t added = value & ~device->status;

	if (value == 0) {
		virtio_device_reset(device);
		return;
	}
	/* 2.1.1: bits are only added, in order; what else a driver writes does not count. */
	value |= device->status;
	if (added & VIRTIO_CONFIG_S_FEATURES_OK) {
		/* 3.1.1 step 5: refuse by leaving the bit clear. VERSION_1 is not optional. */
		if (device->driver_features & ~device->features ||
		    !(device->driver_features & 1ULL << VIRTIO_F_VERSION_1))
			value &= ~(uint32_t)VIRTIO_CONFIG_S_FEATURES_OK;
	}
	if (added & VIRTIO_CONFIG_S_DRIVER_OK && (value & STATUS_SETUP) != STATUS_SETUP)
		value &= ~(uint32_t)VIRTIO_CONFIG_S_DRIVER_OK;
	added = value & ~device->status;
	device->status = value & 0xff;
	if (added & VIRTIO_CONFIG_S_DRIVER_OK && !(device->status & VIRTIO_CONFIG_S_NEEDS_RESET))
		virtio_mmio_activate(device);
}

static void write_queue_ready(struct virtio_device *device, struct virtqueue *vq, uint32_t value)
{
	if (value == 1) {
		vq->event_idx = device->driver_features & 1ULL << 29; /* VIRTIO_F_EVENT_IDX */
		if (virtqueue_enable(vq) < 0)
			virtio_device_needs_reset(device, "a queue lies outside of memory or is misaligned");
	} else if (value == 0) {
		virtqueue_reset(vq);
	}
}

static void set_low(gpa_t *address, uint32_t value)
{
	*address = (*address & ~0xffffffffULL) | value;
}

static void set_high(gpa_t *address, uint32_t value)
{
	*address = (*address & 0xffffffffULL) | (uint64_t)value << 32;
}

/*
 * Queue registers count only between FEATURES_OK and DRIVER_OK, and an enabled queue is frozen: a queue that changes
 * while it is used is how CVE-2026-5747 happened elsewhere.
 */
static void write_queue_register(struct virtio_device *device, uint64_t offset, uint32_t value)
{
	struct virtqueue *vq = selected(device);

	if (!vq || !(device->status & VIRTIO_CONFIG_S_FEATURES_OK) || device->status & VIRTIO_CONFIG_S_DRIVER_OK)
		return;
	if (offset == VIRTIO_MMIO_QUEUE_READY) {
		write_queue_ready(device, vq, value);
		return;
	}
	if (vq->enabled)
		return;
	switch (offset) {
	case VIRTIO_MMIO_QUEUE_NUM:
		vq->size = value <= device->ops->queue_size ? (uint16_t)value : 0;
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
		set_low(&vq->desc, value);
		break;
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		set_high(&vq->desc, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
		set_low(&vq->avail, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		set_high(&vq->avail, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
		set_low(&vq->used, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		set_high(&vq->used, value);
		break;
	}
}

static void write_register(struct virtio_device *device, uint64_t offset, uint32_t value)
{
	uint64_t one = 1;

	switch (offset) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		device->feature_select = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		device->driver_feature_select = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		write_driver_features(device, value);
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		device->queue_select = value;
		break;
	case VIRTIO_MMIO_QUEUE_NOTIFY:
		/* KVM's ioeventfd takes this one; only a write of another width comes here. */
		if (value < device->ops->nqueues && write(device->kicks[value], &one, sizeof(one)) != sizeof(one))
			virtio_device_needs_reset(device, "cannot wake a queue");
		break;
	case VIRTIO_MMIO_INTERRUPT_ACK:
		__atomic_and_fetch(virtio_mmio_interrupt_status(device), ~value, __ATOMIC_SEQ_CST);
		break;
	case VIRTIO_MMIO_STATUS:
		write_status(device, value);
		break;
	default:
		write_queue_register(device, offset, value);
	}
}

/*
 * The list is copied before anything in it is looked at. The first write that is none, or a reset (which waits without the lock),
 * ends it: our driver gives neither.
 */
static void write_list(struct virtio_device *device, gpa_t address)
{
	struct virtio_mmio_list list;
	const void *at = memory_at(device->mem, address, sizeof(list.n));

	if (!at)
		return;
	memcpy(&list.n, at, sizeof(list.n));
	if (list.n == 0 || list.n > VIRTIO_MMIO_LIST_MAX)
		return;
	at = memory_at(device->mem, address + sizeof(list.n), list.n * sizeof(list.writes[0]));
	if (!at)
		return;
	memcpy(list.writes, at, list.n * sizeof(list.writes[0]));
	for (uint32_t i = 0; i < list.n; i++) {
		if (list.writes[i].offset >= VIRTIO_MMIO_CONFIG || list.writes[i].offset % 4 != 0 ||
		    (list.writes[i].offset == VIRTIO_MMIO_STATUS && list.writes[i].value == 0))
			return;
		write_register(device, list.writes[i].offset, list.writes[i].value);
	}
}

void virtio_mmio_hide(struct virtio_device *device)
{
	pthread_mutex_lock(&device->lock);
	virtio_mmio_show_nothing(device->page);
	device->page = NULL;
	pthread_mutex_unlock(&device->lock);
}

static void write_config(struct virtio_device *device, uint64_t offset, const void *data, unsigned int len)
{
	uint64_t writable = device->ops->config_writable_offset;

	if (offset >= writable && len <= device->ops->config_writable_len &&
	    offset - writable <= device->ops->config_writable_len - len)
		memcpy(device->config + offset, data, len);
}

void virtio_mmio_read(const uint8_t *page, uint64_t offset, void *data, unsigned int len)
{
	if (offset <= VIRTIO_MMIO_WINDOW - len)
		memcpy(data, page + offset, len);
}

void virtio_mmio_access(void *ctx, uint64_t offset, void *data, unsigned int len, bool is_write)
{
	struct virtio_device *device = ctx;
	uint64_t address;
	uint32_t value;

	if (!is_write) {
		virtio_mmio_read(device->page, offset, data, len);
		return;
	}
	pthread_mutex_lock(&device->lock);
	if (offset >= VIRTIO_MMIO_CONFIG) {
		write_config(device, offset - VIRTIO_MMIO_CONFIG, data, len);
	} else if (len == 4 && offset % 4 == 0) { /* 4.2.2.2: 32-bit aligned accesses only */
		memcpy(&value, data, 4);
		write_register(device, offset, value);
	} else if (len == 8 && offset == VIRTIO_MMIO_CELLA_LIST) {
		memcpy(&address, data, 8);
		write_list(device, address);
	}
	virtio_mmio_update(device);
	pthread_mutex_unlock(&device->lock);
}
