/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine's virtio devices: which window, interrupt line and notification each one has, and slots for those that
 * come while the VM runs. All functions: I/O thread, or vm_create before the vCPUs run.
 */
#ifndef VMM_DEVICES_H
#define VMM_DEVICES_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/loop.h"
#include "vmm/arch/arch.h"
#include "vmm/bus.h"
#include "vmm/config.h"
#include "vmm/kvm.h"
#include "vmm/virtio/device.h"
#include "vmm/virtio/device_state.h"

#define DEVICES_MAX (ARCH_IRQ_MAX - ARCH_IRQ_FIRST + 1)

typedef void device_free(struct virtio_device *virtio);

struct device {
	struct virtio_device *virtio; /* owned; NULL: an empty slot */
	device_free *free;
	struct arch_mmio_device window;
	struct virtio_slot *slot; /* owned; NULL: the device is there for good */
	uint8_t mac[6];		  /* what a network device is known by */
	char id[CONFIG_DEVICE_ID_MAX]; /* what a disk or network that came later is known by; may be empty */
};

struct devices {
	struct kvm *kvm;   /* borrowed, as the next two */
	struct loop *loop;
	struct bus *mmio;
	struct device all[DEVICES_MAX]; /* slots come last */
	size_t n;
	unsigned int nlines; /* of interrupts */
	uint8_t *pages;	     /* owned: what the guest reads in the windows, one after the other */
	int acknowledged;    /* eventfd, owned, that nobody reads: where KVM puts acknowledged interrupts */
};

int devices_init(struct devices *devices, struct kvm *kvm, struct loop *loop, struct bus *mmio, struct err *err) must_check;

/* Gives the guest its view of the windows. After the last device and slot. */
int devices_show(struct devices *devices, struct err *err) must_check;

/* Frees every device, also after a failed devices_init. The vCPUs have ended. */
void devices_free(struct devices *devices);

/*
 * A device that is there from the start, for good. Takes virtio, on failure too; it may be NULL: then err is set already,
 * and its code comes back.
 */
int devices_plug(struct devices *devices, struct virtio_device *virtio, device_free *free, struct err *err) must_check;

/* The same of a network device, which may go again. mac is what it is known by. */
int devices_plug_net(struct devices *devices, struct virtio_device *virtio, const uint8_t mac[6], struct err *err) must_check;

/*
 * Windows for devices that come later, after all others. They share one interrupt line: an edge has all their drivers
 * look, and each line costs a dozen exits at boot.
 */
int devices_add_slots(struct devices *devices, unsigned int count, struct err *err) must_check;

/* A device for a VM that runs: the guest sees it when its driver looks again. virtio as above. ENOSPC: no slot is empty. */
int devices_insert(struct devices *devices, struct virtio_device *virtio, device_free *free, struct err *err) must_check;
int devices_insert_net(struct devices *devices, struct virtio_device *virtio, const char *id, const uint8_t mac[6],
		       struct err *err) must_check;
int devices_insert_disk(struct devices *devices, struct virtio_device *virtio, const char *id, struct err *err) must_check;

/* The guest's driver should have let go of it; if it has not, it finds an empty window. ENODEV: there is none. */
int devices_remove_net(struct devices *devices, const uint8_t mac[6], struct err *err) must_check;
/* All that were inserted and whose id begins with prefix, which is not empty; none is no error. */
int devices_remove(struct devices *devices, const char *prefix, struct err *err) must_check;

/* A state for each window. EBUSY: a slot is filled, or a device has requests in its hands. The vCPUs do not run. */
int devices_save(struct devices *devices, struct virtio_device_state states[DEVICES_MAX], struct err *err) must_check;
/* Into the same windows with the same devices. Before the vCPUs run. */
int devices_restore(struct devices *devices, const struct virtio_device_state states[DEVICES_MAX], struct err *err) must_check;

/* Resets of devices that vCPUs asked for and wait for. */
void devices_serve_resets(struct devices *devices);

#endif
