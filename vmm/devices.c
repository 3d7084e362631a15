/* SPDX-License-Identifier: Apache-2.0 */
/* Windows in the order of their addresses; an interrupt line for each device, one for all slots. */
#include "vmm/devices.h"

#include <errno.h>
#include <linux/virtio_mmio.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/virtio/blk.h"
#include "vmm/virtio/mmio.h"
#include "vmm/virtio/net.h"
#include "vmm/virtio/slot.h"

int devices_init(struct devices *devices, struct kvm *kvm, struct loop *loop, struct bus *mmio, struct err *err)
{
	*devices = (struct devices){ .kvm = kvm, .loop = loop, .mmio = mmio, .nlines = ARCH_IRQ_FIRST };
	devices->pages = mmap(NULL, DEVICES_MAX * VIRTIO_MMIO_WINDOW, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (devices->pages == MAP_FAILED)
		devices->pages = NULL;
	devices->acknowledged = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return devices->pages && devices->acknowledged >= 0 ? 0 : err_set(err, errno, "windows of the devices");
}

int devices_show(struct devices *devices, struct err *err)
{
	return devices->n == 0 ? 0 : kvm_add_read_only(devices->kvm, ARCH_MMIO_BASE, devices->pages, devices->n * VIRTIO_MMIO_WINDOW, err);
}

static uint8_t *page_of(const struct devices *devices, const struct device *device)
{
	return devices->pages + (device->window.base - ARCH_MMIO_BASE);
}

void devices_free(struct devices *devices)
{
	while (devices->n > 0) {
		struct device *device = &devices->all[--devices->n];

		if (device->virtio)
			device->free(device->virtio);
		free(device->slot);
	}
	if (devices->pages)
		munmap(devices->pages, DEVICES_MAX * VIRTIO_MMIO_WINDOW);
	if (devices->acknowledged >= 0)
		close(devices->acknowledged);
}

void devices_serve_resets(struct devices *devices)
{
	for (size_t i = 0; i < devices->n; i++)
		if (devices->all[i].virtio)
			virtio_device_serve_reset(devices->all[i].virtio);
}

/* The next window; line: its interrupt's. */
static struct device *add_window(struct devices *devices, unsigned int line, struct err *err)
{
	struct device *device = &devices->all[devices->n];

	if (devices->n == DEVICES_MAX) {
		err_msg(err, E2BIG, "more than %d devices", DEVICES_MAX);
		return NULL;
	}
	device->window = (struct arch_mmio_device){
		.base = ARCH_MMIO_BASE + devices->n * VIRTIO_MMIO_WINDOW,
		.size = VIRTIO_MMIO_WINDOW,
		.irq = line,
	};
	devices->n++;
	devices->nlines = line + 1;
	return device;
}

/* Interrupt and queue notifications of a device that has a window. */
static int connect_device(struct devices *devices, const struct device *device, struct err *err)
{
	struct virtio_device *virtio = device->virtio;
	int ret = kvm_add_irqfd(devices->kvm, virtio->irq, device->window.irq, err);

	for (unsigned int i = 0; i < virtio->ops->nqueues && ret == 0; i++)
		ret = kvm_add_ioeventfd(devices->kvm, virtio->kicks[i], device->window.base + VIRTIO_MMIO_QUEUE_NOTIFY, i, err);
	if (ret == 0)
		ret = kvm_add_ioeventfd(devices->kvm, devices->acknowledged, device->window.base + VIRTIO_MMIO_INTERRUPT_ACK,
					VIRTIO_MMIO_INT_VRING, err);
	return ret < 0 ? ret : virtio_device_watch(virtio, devices->loop, err);
}

static int add_slot(struct devices *devices, struct device *device, struct err *err)
{
	int ret;

	device->slot = calloc(1, sizeof(*device->slot));
	if (!device->slot)
		return err_set(err, ENOMEM, "create a slot");
	virtio_slot_init(device->slot, page_of(devices, device));
	ret = bus_add(devices->mmio, device->window.base, device->window.size, virtio_slot_access, device->slot);
	return ret < 0 ? err_set(err, -ret, "place a slot") : 0;
}

/* A window for a device that is there from the start, with a line of its own. virtio may be NULL: then err is set. */
static struct device *take_window(struct devices *devices, struct virtio_device *virtio, device_free *free,
				  struct err *err)
{
	struct device *device = virtio ? add_window(devices, (unsigned int)(ARCH_IRQ_FIRST + devices->n), err) : NULL;

	if (device) {
		device->virtio = virtio;
		device->free = free;
	} else if (virtio) {
		free(virtio);
	}
	return device;
}

int devices_plug(struct devices *devices, struct virtio_device *virtio, device_free *free, struct err *err)
{
	struct device *device = take_window(devices, virtio, free, err);
	int ret;

	if (!device)
		return -err->code;
	virtio_mmio_show(virtio, page_of(devices, device));
	ret = bus_add(devices->mmio, device->window.base, device->window.size, virtio_mmio_access, virtio);
	return ret < 0 ? err_set(err, -ret, "place device %s", virtio->ops->name) : connect_device(devices, device, err);
}

/* Fills or empties a slot; a vCPU that is in it may be waiting for this thread. */
static void set_slot(struct devices *devices, struct device *device, struct virtio_device *virtio)
{
	while (!virtio_slot_try_set(device->slot, virtio)) {
		devices_serve_resets(devices);
		sched_yield();
	}
}

int devices_plug_net(struct devices *devices, struct virtio_device *virtio, const uint8_t mac[6], struct err *err)
{
	struct device *device = take_window(devices, virtio, net_free, err);

	if (!device || add_slot(devices, device, err) < 0 || connect_device(devices, device, err) < 0)
		return -err->code;
	memcpy(device->mac, mac, sizeof(device->mac));
	set_slot(devices, device, device->virtio);
	return 0;
}

int devices_add_slots(struct devices *devices, unsigned int count, struct err *err)
{
	unsigned int line = (unsigned int)(ARCH_IRQ_FIRST + devices->n);
	int ret = 0;

	for (unsigned int i = 0; i < count && ret == 0; i++) {
		struct device *device = add_window(devices, line, err);

		ret = device ? add_slot(devices, device, err) : -err->code;
	}
	return ret;
}

static struct device *empty_slot(struct devices *devices)
{
	for (size_t i = 0; i < devices->n; i++)
		if (devices->all[i].slot && !devices->all[i].virtio)
			return &devices->all[i];
	return NULL;
}

static struct device *insert(struct devices *devices, struct virtio_device *virtio, device_free *free, struct err *err)
{
	struct device *device = virtio ? empty_slot(devices) : NULL;

	if (!virtio)
		return NULL;
	if (!device) {
		free(virtio);
		err_msg(err, ENOSPC, "all slots for devices are in use");
		return NULL;
	}
	device->virtio = virtio;
	device->free = free;
	if (connect_device(devices, device, err) < 0) {
		device->virtio = NULL;
		free(virtio);
		return NULL;
	}
	set_slot(devices, device, virtio);
	return device;
}

int devices_insert(struct devices *devices, struct virtio_device *virtio, device_free *free, struct err *err)
{
	return insert(devices, virtio, free, err) ? 0 : -err->code;
}

static struct device *find_net(struct devices *devices, const uint8_t mac[6])
{
	for (size_t i = 0; i < devices->n; i++) {
		struct device *device = &devices->all[i];

		if (device->virtio && device->free == net_free && !memcmp(device->mac, mac, sizeof(device->mac)))
			return device;
	}
	return NULL;
}

int devices_insert_net(struct devices *devices, struct virtio_device *virtio, const char *id, const uint8_t mac[6],
		       struct err *err)
{
	struct device *device;

	if (virtio && find_net(devices, mac)) {
		net_free(virtio);
		return err_msg(err, EEXIST, "there is a network device with this address");
	}
	device = insert(devices, virtio, net_free, err);
	if (!device)
		return -err->code;
	memcpy(device->mac, mac, sizeof(device->mac));
	snprintf(device->id, sizeof(device->id), "%s", id);
	return 0;
}

static struct device *find_named(struct devices *devices, const char *prefix)
{
	for (size_t i = 0; i < devices->n; i++) {
		struct device *device = &devices->all[i];

		if (device->slot && device->virtio && !strncmp(device->id, prefix, strlen(prefix)))
			return device;
	}
	return NULL;
}

int devices_insert_disk(struct devices *devices, struct virtio_device *virtio, const char *id, struct err *err)
{
	struct device *device = insert(devices, virtio, blk_free, err);

	if (!device)
		return -err->code;
	snprintf(device->id, sizeof(device->id), "%s", id);
	return 0;
}

static int remove_device(struct devices *devices, struct device *device, struct err *err)
{
	struct virtio_device *virtio = device->virtio;
	int ret = 0;

	set_slot(devices, device, NULL);
	device->virtio = NULL;
	*device->id = '\0';
	virtio_device_unwatch(virtio, devices->loop);
	for (unsigned int i = 0; i < virtio->ops->nqueues && ret == 0; i++)
		ret = kvm_remove_ioeventfd(devices->kvm, virtio->kicks[i], device->window.base + VIRTIO_MMIO_QUEUE_NOTIFY, i, err);
	if (ret == 0)
		ret = kvm_remove_ioeventfd(devices->kvm, devices->acknowledged, device->window.base + VIRTIO_MMIO_INTERRUPT_ACK,
					   VIRTIO_MMIO_INT_VRING, err);
	if (ret == 0)
		ret = kvm_remove_irqfd(devices->kvm, virtio->irq, device->window.irq, err);
	device->free(virtio);
	return ret;
}

int devices_remove_net(struct devices *devices, const uint8_t mac[6], struct err *err)
{
	struct device *device = find_net(devices, mac);

	return device ? remove_device(devices, device, err) : err_msg(err, ENODEV, "there is no network device with this address");
}

int devices_remove(struct devices *devices, const char *prefix, struct err *err)
{
	struct device *device;
	int ret = 0;

	while (ret == 0 && (device = find_named(devices, prefix)))
		ret = remove_device(devices, device, err);
	return ret;
}

int devices_save(struct devices *devices, struct virtio_device_state states[DEVICES_MAX], struct err *err)
{
	for (size_t i = 0; i < devices->n; i++) {
		struct device *device = &devices->all[i];

		if (device->slot && device->virtio)
			return err_msg(err, EBUSY, "%s: a device that came later", device->virtio->ops->name);
		if (device->virtio && virtio_device_save(device->virtio, &states[i], err) < 0)
			return -err->code;
	}
	return 0;
}

int devices_restore(struct devices *devices, const struct virtio_device_state states[DEVICES_MAX], struct err *err)
{
	for (size_t i = 0; i < devices->n; i++) {
		struct device *device = &devices->all[i];

		if (!device->virtio && states[i].id)
			return err_msg(err, EINVAL, "the snapshot has device %u where this VM has none", states[i].id);
		if (device->virtio && virtio_device_restore(device->virtio, &states[i], err) < 0)
			return -err->code;
	}
	return 0;
}
