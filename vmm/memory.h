/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory: the only place where a guest address becomes a pointer.
 *
 * RAM is one anonymous mapping, split in two guest ranges around the 32-bit MMIO hole when it is larger than the first.
 * Above it lies a range that memory can grow into (virtio-mem): address space only, of which the first part is open to
 * the guest. That part never shrinks and nothing else changes after memory_new, so every thread may translate without a
 * lock. What lies behind a pointer changes at any time (the guest runs): copy first, check the copy, use the copy.
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
#define MEMORY_HUGE_PAGE (2ULL << 20)
#define MEMORY_BLOCK (128ULL << 20) /* Linux adds memory to x86_64 in sections of this size */

struct memory_region {
	gpa_t gpa;
	uint64_t size;
	uint8_t *host;
};

struct memory {
	uint8_t *map; /* 2 MiB aligned, within reserved */
	uint64_t size;
	void *reserved; /* owned: what is and what may be memory, and a huge page more */
	struct memory_region regions[MEMORY_REGIONS_MAX]; /* RAM at boot */
	size_t nregions;
	struct memory_region growth; /* size: what is open; atomic. host NULL: cannot grow */
	uint64_t growth_max;	     /* bytes */
};

/*
 * size: bytes of RAM, a multiple of 2 MiB. growth: how much it can become more, rounded down to MEMORY_BLOCK. Backed by
 * transparent huge pages where the host gives them.
 */
struct memory *memory_new(uint64_t size, uint64_t growth, struct err *err);
void memory_free(struct memory *mem);

/* Dumps of this process are without the guest's memory, as far as it is mapped by now. */
void memory_leave_out_of_dumps(const struct memory *mem);

/* Opens the growth range up to size bytes: translation works there from now on. I/O thread. -EINVAL beyond growth_max. */
int memory_open_growth(struct memory *mem, uint64_t size) must_check;

/*
 * The host address of [gpa, gpa + len), or NULL unless the whole range lies in one region of RAM. len 0 is refused:
 * nobody has a use for a pointer to nothing. Valid as long as mem.
 */
void *memory_at(const struct memory *mem, gpa_t gpa, uint64_t len);

/* Gives the whole pages of [gpa, gpa + len) back to the host; the guest reads zeroes there. -EFAULT outside of RAM. */
int memory_discard(const struct memory *mem, gpa_t gpa, uint64_t len) must_check;

/* The same for what memory_at gave out. */
int memory_discard_at(void *host, uint64_t len) must_check;

#endif
