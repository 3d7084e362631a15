/* SPDX-License-Identifier: Apache-2.0 */
/* Constants of the x86_64 machine. */
#ifndef VMM_ARCH_X86_64_PARAMS_H
#define VMM_ARCH_X86_64_PARAMS_H

#define ARCH_NAME "x86_64"
#define ARCH_ELF_MACHINE EM_X86_64
#define ARCH_KERNEL_MIN 0x100000ULL /* below lie the boot data and the legacy hole */
#define ARCH_MMIO_BASE 0xd0000000ULL
#define ARCH_IRQ_FIRST 1 /* IOAPIC pins; 0 would be a timer's */
#define ARCH_IRQ_MAX 23

/* Where the boot data lies, below 640 KiB. */
#define X86_ZERO_PAGE 0x7000ULL
#define X86_PML4 0x9000ULL
#define X86_PDPT 0xa000ULL
#define X86_PD 0xb000ULL
#define X86_GDT 0xc000ULL
#define X86_CMDLINE 0x20000ULL
#define X86_SETUP_DATA 0x30000ULL
#define X86_SETUP_DATA_MAX 0x10000ULL
#define X86_LOW_RAM_END 0x9fc00ULL
#define X86_IOAPIC 0xfec00000ULL
#define X86_LAPIC 0xfee00000ULL

#endif
