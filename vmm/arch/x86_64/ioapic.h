/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The IOAPIC (Intel 82093AA datasheet): turns device lines into messages to the local APICs, which KVM emulates.
 *
 * KVM has one, but with 24 pins: Linux reads and writes each of them a dozen times at boot, 616 exits. This one has as
 * many pins as there are devices. Nothing of it lies on the path of an interrupt: each unmasked pin is a route from the
 * line's irqfd to its message inside KVM (api.rst 4.52, KVM_SET_GSI_ROUTING).
 *
 * Beside the chip's own two registers, index and window, each of those behind them has its place in the page, number n at
 * 0x400 + 4n, and an entry may be written there as 64 bits: a quarter of the exits. The device tree calls it "cella,ioapic"; our
 * guest kernel knows that (guest-kernel/patches/ioapic-without-window.patch).
 */
#ifndef VMM_ARCH_X86_64_IOAPIC_H
#define VMM_ARCH_X86_64_IOAPIC_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "vmm/kvm.h"

#define IOAPIC_PINS_MAX 24
#define IOAPIC_WINDOW 0x1000ULL

struct ioapic {
	int vm; /* KVM's VM, borrowed; -1 in tests: no routes are set */
	pthread_mutex_t lock;
	unsigned int npins;
	uint32_t index; /* IOREGSEL */
	uint8_t id;
	uint64_t entries[IOAPIC_PINS_MAX]; /* redirection table */
};

/* All pins masked, as after a reset. npins: 1 to IOAPIC_PINS_MAX. */
void ioapic_init(struct ioapic *ioapic, int vm, unsigned int npins);

/* bus_handler for the window; ctx is the struct ioapic. vCPU threads. */
void ioapic_access(void *ctx, uint64_t offset, void *data, unsigned int len, bool is_write);

/* The message of a pin, as KVM takes it; false if the pin is masked. */
bool ioapic_route(const struct ioapic *ioapic, unsigned int pin, struct kvm_irq_routing_entry *route);

#endif
