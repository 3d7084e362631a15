/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory: the only place where a guest address becomes a pointer.
 *
 * RAM is one anonymous mapping, split in two guest ranges around the 32-bit MMIO hole when it is larger than the first.
 * The layout never changes after memory_new, so every thread may translate without a lock. What lies behind a pointer
 * changes at any time (the guest runs): copy first, check the copy, use the copy.
 */
#ifndef VMM_MEMORY_H
#define VMM_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

typedef uint64_t gpa_t;

#define MEMORY_HOLE_START 0xc0000000ULL /* MMIO: virtio-mmio windows, IOAPIC, LAPIC */
#define MEMORY_HOLE_END 0x100000000ULL
#define MEMORY_REGIONS_MAX 2

struct memory_region {
	gpa_t gpa;
	uint64_t size;
	uint8_t *host;
};

struct memory {
	uint8_t *map; /* owned, 2 MiB aligned */
	uint64_t size;
	struct memory_region regions[MEMORY_REGIONS_MAX];
	size_t nregions;
};

/* size: bytes of RAM, a multiple of 2 MiB. Backed by transparent huge pages where the host gives them. */
struct memory *memory_new(uint64_t size, struct err *err);
void memory_free(struct memory *mem);

/*
 * The host address of [gpa, gpa + len), or NULL unless the whole range lies in one region of RAM. len 0 is refused:
 * nobody has a use for a pointer to nothing. Valid as long as mem.
 */
void *memory_at(const struct memory *mem, gpa_t gpa, uint64_t len);

/* Gives the whole pages of [gpa, gpa + len) back to the host; the guest reads zeroes there. -EFAULT outside of RAM. */
int memory_discard(const struct memory *mem, gpa_t gpa, uint64_t len) must_check;

#endif
