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
#include "vmm/kvm.h"
#include "vmm/memory.h"

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

/* Writes what the kernel reads at boot (device tree, boot parameters, page tables) into memory. */
int arch_write_boot_data(const struct memory *mem, const struct boot *boot, const struct arch_machine *machine,
			 struct err *err) must_check;

/* Sets a vCPU's registers for boot: vCPU 0 at the kernel's entry, the others waiting to be started by the guest. */
int arch_init_vcpu(const struct kvm *kvm, int vcpu, unsigned int id, unsigned int nvcpus, const struct boot *boot,
		   struct err *err) must_check;

#endif
