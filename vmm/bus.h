/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an MMIO address or an I/O port to the device behind it. Built once by vm_create, then read only: any vCPU thread
 * may look up without a lock. The devices lock for themselves.
 */
#ifndef VMM_BUS_H
#define VMM_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define BUS_RANGES_MAX 32

/* data: len bytes (1, 2, 4 or 8), to be filled on a read (zeroed before), to be taken on a write. */
typedef void bus_handler(void *ctx, uint64_t offset, void *data, unsigned int len, bool is_write);

struct bus_range {
	uint64_t base;
	uint64_t size;
	bus_handler *handler;
	void *ctx; /* borrowed */
};

struct bus {
	struct bus_range ranges[BUS_RANGES_MAX];
	size_t nranges;
};

/* -ENOSPC when full, -EEXIST on an overlap. */
int bus_add(struct bus *bus, uint64_t base, uint64_t size, bus_handler *handler, void *ctx) must_check;

/* Accesses to nothing, or across the end of a range, read as all ones and write nothing, as on a real bus. */
void bus_access(const struct bus *bus, uint64_t address, void *data, unsigned int len, bool is_write);

#endif
