/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory and the one translation from guest addresses. */
#include "vmm/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define GROWTH_ALIGN (1ULL << 30)

static void add_region(struct memory *mem, gpa_t gpa, uint64_t offset, uint64_t size)
{
	mem->regions[mem->nregions++] = (struct memory_region){
		.gpa = gpa,
		.size = size,
		.host = mem->map + offset,
	};
}

static uint64_t reserved_size(const struct memory *mem)
{
	return mem->size + mem->growth_max + MEMORY_HUGE_PAGE;
}

/* Address space and nothing else: a page of it costs something when it is touched. One huge page more, so that it can be aligned. */
static int reserve(struct memory *mem)
{
	uintptr_t start;

	mem->reserved = mmap(NULL, reserved_size(mem), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem->reserved == MAP_FAILED)
		return -errno;
	start = ((uintptr_t)mem->reserved + MEMORY_HUGE_PAGE - 1) / MEMORY_HUGE_PAGE * MEMORY_HUGE_PAGE;
	mem->map = (uint8_t *)start;
	/* Best effort: without huge pages the guest is slower, not wrong. */
	madvise(mem->reserved, reserved_size(mem), MADV_HUGEPAGE);
	return 0;
}

void memory_leave_out_of_dumps(const struct memory *mem)
{
	madvise(mem->reserved, reserved_size(mem), MADV_DONTDUMP);
}

/* Where memory that comes later is in the guest. On the host it follows what there is at boot. */
static void place_growth(struct memory *mem)
{
	const struct memory_region *last = &mem->regions[mem->nregions - 1];
	uint64_t end = last->gpa + last->size;

	if (mem->growth_max == 0)
		return;
	mem->growth.host = mem->map + mem->size;
	mem->growth.gpa = end <= MEMORY_HOLE_END ? MEMORY_HOLE_END : (end + GROWTH_ALIGN - 1) / GROWTH_ALIGN * GROWTH_ALIGN;
}

struct memory *memory_new(uint64_t size, uint64_t growth, struct err *err)
{
	struct memory *mem;
	int ret;

	if (size == 0 || size % MEMORY_HUGE_PAGE) {
		err_set(err, EINVAL, "guest memory of %llu bytes is not a multiple of 2 MiB", (unsigned long long)size);
		return NULL;
	}
	mem = calloc(1, sizeof(*mem));
	if (!mem) {
		err_set(err, ENOMEM, "allocate guest memory");
		return NULL;
	}
	mem->size = size;
	mem->growth_max = growth - growth % MEMORY_BLOCK;
	ret = reserve(mem);
	if (ret < 0) {
		err_set(err, -ret, "map %llu MiB of guest memory", (unsigned long long)((size + growth) >> 20));
		free(mem);
		return NULL;
	}
	if (size > MEMORY_HOLE_START) {
		add_region(mem, 0, 0, MEMORY_HOLE_START);
		add_region(mem, MEMORY_HOLE_END, MEMORY_HOLE_START, size - MEMORY_HOLE_START);
	} else {
		add_region(mem, 0, 0, size);
	}
	place_growth(mem);
	return mem;
}

void memory_free(struct memory *mem)
{
	if (!mem)
		return;
	munmap(mem->reserved, reserved_size(mem));
	free(mem);
}

int memory_open_growth(struct memory *mem, uint64_t size)
{
	if (size > mem->growth_max)
		return -EINVAL;
	if (size > mem->growth.size)
		__atomic_store_n(&mem->growth.size, size, __ATOMIC_RELEASE);
	return 0;
}

static void *find(const struct memory_region *region, uint64_t size, gpa_t gpa, uint64_t len)
{
	if (gpa < region->gpa || gpa - region->gpa >= size || len == 0 || len > size - (gpa - region->gpa))
		return NULL;
	return region->host + (gpa - region->gpa);
}

void *memory_at(const struct memory *mem, gpa_t gpa, uint64_t len)
{
	for (size_t i = 0; i < mem->nregions; i++) {
		void *host = find(&mem->regions[i], mem->regions[i].size, gpa, len);

		if (host)
			return host;
	}
	return find(&mem->growth, __atomic_load_n(&mem->growth.size, __ATOMIC_ACQUIRE), gpa, len);
}

int memory_discard_at(void *host, uint64_t len)
{
	uintptr_t first = ((uintptr_t)host + 4095) & ~(uintptr_t)4095;
	uintptr_t last = ((uintptr_t)host + len) & ~(uintptr_t)4095;

	if (first < last && madvise((void *)first, last - first, MADV_DONTNEED) < 0)
		return -errno;
	return 0;
}

int memory_discard(const struct memory *mem, gpa_t gpa, uint64_t len)
{
	void *start = memory_at(mem, gpa, len);

	return start ? memory_discard_at(start, len) : -EFAULT;
}
