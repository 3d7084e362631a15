/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What differs between processors. One directory per architecture has the same file names and defines these functions;
 * the Makefile picks it by ARCH.
 */
#ifndef VMM_ARCH_ARCH_H
#define VMM_ARCH_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "vmm/boot.h"
#include "vmm/bus.h"
#include "vmm/kvm.h"
#include "vmm/memory.h"

/* struct arch_vcpu_state, struct arch_machine_state: what a snapshot holds of a vCPU and of all that KVM has besides. */
#include "arch_state.h"

/* ARCH_NAME, ARCH_ELF_MACHINE, ARCH_KERNEL_MIN, ARCH_IRQ_FIRST, ARCH_IRQ_MAX, ARCH_MMIO_BASE */
#include "arch_params.h"

/* One virtio-mmio window, as the guest is told. */
struct arch_mmio_device {
	gpa_t base;
	uint64_t size;
	uint32_t irq;
};

struct arch_machine {
	unsigned int nvcpus;
	const struct arch_mmio_device *devices; /* borrowed */
	size_t ndevices;
};

/*
 * The part of interrupt delivery that KVM does, for lines (GSIs) 0 to nlines - 1 of irqfds. Call before any vCPU is
 * created (api.rst, KVM_CAP_SPLIT_IRQCHIP).
 */
int arch_create_irqchip(const struct kvm *kvm, unsigned int nlines, struct err *err) must_check;

/*
 * The VM gets no performance counters (api.rst 8.35, KVM_CAP_PMU_CAPABILITY): with them a guest can watch what its neighbours do to
 * the caches. AMD's oldest ones are there whatever CPUID says; a kernel before 5.18 cannot take those away. Before the first vCPU.
 */
int arch_disable_counters(const struct kvm *kvm, struct err *err) must_check;

/* The part that is ours: the controller that devices' lines end at, placed on the bus. NULL and err on failure. */
struct arch_interrupts;
struct arch_interrupts *arch_interrupts_new(const struct kvm *kvm, unsigned int nlines, struct bus *mmio, struct err *err);
void arch_interrupts_free(struct arch_interrupts *interrupts);

/* Writes what the kernel reads at boot (device tree, boot parameters, page tables) into memory. */
int arch_write_boot_data(const struct memory *mem, const struct boot *boot, const struct arch_machine *machine,
			 struct err *err) must_check;

/* Sets a vCPU's registers for boot: vCPU 0 at the kernel's entry, the others waiting to be started by the guest. */
int arch_init_vcpu(const struct kvm *kvm, int vcpu, unsigned int id, unsigned int nvcpus, const struct boot *boot,
		   struct err *err) must_check;

/* What arch_init_vcpu does for a new guest, without its registers: the processor that the guest sees. */
int arch_set_cpuid(const struct kvm *kvm, int vcpu, unsigned int id, unsigned int nvcpus, struct err *err) must_check;

/*
 * Saving: no vCPU runs, and none has an exit that is not completed (vcpu_complete_exit). Restoring: into a VM that has not
 * run, instead of arch_init_vcpu and arch_write_boot_data. The state was written by this program on this machine, so
 * KVM's judgement of it is enough.
 */
int arch_save_vcpu(const struct kvm *kvm, int vcpu, struct arch_vcpu_state *state, struct err *err) must_check;
int arch_restore_vcpu(const struct kvm *kvm, int vcpu, unsigned int id, unsigned int nvcpus,
		      const struct arch_vcpu_state *state, struct err *err) must_check;
int arch_save_machine(const struct kvm *kvm, struct arch_interrupts *interrupts, struct arch_machine_state *state,
		      struct err *err) must_check;
int arch_restore_machine(const struct kvm *kvm, struct arch_interrupts *interrupts, const struct arch_machine_state *state,
			 struct err *err) must_check;

/* The part of these two that is the interrupt controller's. */
void arch_save_interrupts(struct arch_interrupts *interrupts, struct arch_machine_state *state);
int arch_restore_interrupts(struct arch_interrupts *interrupts, const struct arch_machine_state *state, struct err *err) must_check;

#endif
