/* SPDX-License-Identifier: Apache-2.0 */
/* The flattened device tree that describes the machine to the kernel. */
#ifndef VMM_ARCH_X86_64_DEVICE_TREE_H
#define VMM_ARCH_X86_64_DEVICE_TREE_H

#include <stddef.h>

#include "lib/err.h"
#include "vmm/arch/arch.h"

/* Writes the tree into buf (size bytes). */
int device_tree_write(void *buf, size_t size, const struct arch_machine *machine, struct err *err) must_check;

#endif
