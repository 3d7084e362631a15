/* SPDX-License-Identifier: Apache-2.0 */
/* What a snapshot has of this architecture: KVM's own structures, as its ioctls fill them (api.rst). */
#ifndef VMM_ARCH_X86_64_STATE_H
#define VMM_ARCH_X86_64_STATE_H

#include <linux/kvm.h>
#include <stdint.h>

#include "ioapic.h"

#define ARCH_MSRS_MAX 384

struct arch_vcpu_state {
	struct kvm_mp_state mp_state;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_xcrs xcrs;
	struct kvm_xsave xsave;
	struct kvm_debugregs debugregs;
	struct kvm_lapic_state lapic;
	struct kvm_vcpu_events events;
	uint32_t nmsrs;
	struct kvm_msr_entry msrs[ARCH_MSRS_MAX]; /* in the order in which they are to be written */
};

struct arch_machine_state {
	struct kvm_clock_data clock;
	uint32_t npins;
	uint32_t ioapic_index;
	uint32_t ioapic_id;
	uint64_t ioapic_entries[IOAPIC_PINS_MAX];
};

#endif
