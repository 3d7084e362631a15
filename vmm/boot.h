/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel and the initramfs into guest memory. Both files may come from anybody: every number in them is checked. */
#ifndef VMM_BOOT_H
#define VMM_BOOT_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "vmm/memory.h"

#define BOOT_CMDLINE_MAX 2048

struct boot {
	gpa_t entry;	/* where the boot vCPU starts */
	gpa_t kernel_end; /* first byte after the kernel, its zeroed part included */
	gpa_t read_only; /* the kernel's text and constants: its first segment that is not writable */
	uint64_t read_only_size;
	gpa_t initrd;	/* 0 if there is none */
	uint64_t initrd_size;
	const char *cmdline; /* borrowed */
};

/*
 * Loads the ELF64 executable in fd (64-bit Linux boot protocol: vmlinux) to the physical addresses that its program
 * headers name. Refuses what is not an ELF kernel for this machine or does not fit. Sets entry and kernel_end.
 */
int boot_load_kernel(struct boot *boot, const struct memory *mem, int fd, struct err *err) must_check;

/* Loads the file in fd to the top of the first memory region. Call after boot_load_kernel. */
int boot_load_initrd(struct boot *boot, const struct memory *mem, int fd, struct err *err) must_check;

#endif
