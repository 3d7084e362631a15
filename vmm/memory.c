/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory and the one translation from guest addresses. */
#include "vmm/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define HUGE_PAGE (2ULL << 20)

static void add_region(struct memory *mem, gpa_t gpa, uint64_t offset, uint64_t size)
{
	mem->regions[mem->nregions++] = (struct memory_region){
		.gpa = gpa,
		.size = size,
		.host = mem->map + offset,
	};
}

/* An aligned mapping: reserve one huge page more and return what sticks out. */
static uint8_t *map_aligned(uint64_t size)
{
	uint8_t *map = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			    -1, 0);
	uint64_t head;

	if (map == MAP_FAILED)
		return NULL;
	head = (HUGE_PAGE - (uintptr_t)map % HUGE_PAGE) % HUGE_PAGE;
	if (head)
		munmap(map, head);
	if (HUGE_PAGE - head)
		munmap(map + head + size, HUGE_PAGE - head);
	return map + head;
}

struct memory *memory_new(uint64_t size, struct err *err)
{
	struct memory *mem;

	if (size == 0 || size % HUGE_PAGE) {
		err_set(err, EINVAL, "guest memory of %llu bytes is not a multiple of 2 MiB", (unsigned long long)size);
		return NULL;
	}
	mem = calloc(1, sizeof(*mem));
	if (!mem) {
		err_set(err, ENOMEM, "allocate guest memory");
		return NULL;
	}
	mem->size = size;
	mem->map = map_aligned(size);
	if (!mem->map) {
		err_set(err, errno, "map %llu MiB of guest memory", (unsigned long long)(size >> 20));
		free(mem);
		return NULL;
	}
	/* Best effort: without huge pages the guest is slower, not wrong. Dumps of the VMM leave guest memory out. */
	madvise(mem->map, size, MADV_HUGEPAGE);
	madvise(mem->map, size, MADV_DONTDUMP);
	if (size > MEMORY_HOLE_START) {
		add_region(mem, 0, 0, MEMORY_HOLE_START);
		add_region(mem, MEMORY_HOLE_END, MEMORY_HOLE_START, size - MEMORY_HOLE_START);
	} else {
		add_region(mem, 0, 0, size);
	}
	return mem;
}

void memory_free(struct memory *mem)
{
	if (!mem)
		return;
	munmap(mem->map, mem->size);
	free(mem);
}

void *memory_at(const struct memory *mem, gpa_t gpa, uint64_t len)
{
	for (size_t i = 0; i < mem->nregions; i++) {
		const struct memory_region *region = &mem->regions[i];

		if (gpa < region->gpa || gpa - region->gpa >= region->size)
			continue;
		if (len == 0 || len > region->size - (gpa - region->gpa))
			return NULL;
		return region->host + (gpa - region->gpa);
	}
	return NULL;
}

int memory_discard(const struct memory *mem, gpa_t gpa, uint64_t len)
{
	uint8_t *start = memory_at(mem, gpa, len);
	uintptr_t first, last;

	if (!start)
		return -EFAULT;
	first = ((uintptr_t)start + 4095) & ~(uintptr_t)4095;
	last = ((uintptr_t)start + len) & ~(uintptr_t)4095;
	if (first < last && madvise((void *)first, last - first, MADV_DONTNEED) < 0)
		return -errno;
	return 0;
}
