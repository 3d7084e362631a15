/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshot files. */
#include "vmm/snapshot.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/log.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

#define MAGIC 0x70616e73616c6c65ULL /* "ellasnap" */
#define VERSION 1
#define PAGE 4096ULL
#define BATCH_MAX 64
#define GAP (32 * PAGE) /* so much of zeroes is cheaper to copy than to begin anew */

static size_t size_with(uint32_t nvcpus)
{
	return offsetof(struct snapshot, vcpus) + nvcpus * sizeof(struct arch_vcpu_state);
}

struct snapshot *snapshot_new(const struct memory *mem, uint32_t nvcpus, struct err *err)
{
	struct snapshot *snapshot = calloc(1, size_with(nvcpus));

	if (!snapshot) {
		err_set(err, ENOMEM, "save the VM");
		return NULL;
	}
	snapshot->version = VERSION;
	snapshot->size = (uint32_t)size_with(1);
	snapshot->memory_size = mem->size;
	snapshot->nvcpus = nvcpus;
	return snapshot;
}

static bool is_zero(const uint8_t *page)
{
	return page[0] == 0 && !memcmp(page, page + 1, PAGE - 1);
}

/* One more page that is not zero: the last extent grows, or another begins. */
static int add_page(struct snapshot *snapshot, uint64_t offset, bool shared)
{
	struct snapshot_extent *last = snapshot->nextents ? &snapshot->extents[snapshot->nextents - 1] : NULL;

	if (last && last->shared == shared && offset - (last->offset + last->size) <= GAP) {
		last->size = offset + PAGE - last->offset;
		return 0;
	}
	if (snapshot->nextents == SNAPSHOT_EXTENTS_MAX)
		return -E2BIG;
	snapshot->extents[snapshot->nextents++] = (struct snapshot_extent){ offset, PAGE, shared };
	return 0;
}

static int write_at(int fd, const void *data, size_t len, uint64_t offset, struct err *err)
{
	int ret = io_pwrite_all(fd, data, len, offset);

	return ret < 0 ? err_set(err, -ret, "write the snapshot") : 0;
}

/*
 * Where an extent is in the file: what is shared has huge pages there as it has in memory, so that each of them is one entry
 * of the host's page table and of the nested one.
 */
static uint64_t position(const struct snapshot_extent *extent, uint64_t at)
{
	return extent->shared ? (at + MEMORY_HUGE_PAGE - 1) / MEMORY_HUGE_PAGE * MEMORY_HUGE_PAGE : at;
}

/*
 * Has the kernel put an extent of the file into huge pages now. Best effort: it can where the file is on a tmpfs and Linux is
 * 6.1 or newer; elsewhere every 4 KiB of it costs a VM a nested page fault of its own.
 */
static void collapse(int fd, uint64_t at, uint64_t size)
{
	uint8_t *reserved = mmap(NULL, size + MEMORY_HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *map;

	if (reserved == MAP_FAILED)
		return;
	map = reserved + (MEMORY_HUGE_PAGE - (uintptr_t)reserved % MEMORY_HUGE_PAGE) % MEMORY_HUGE_PAGE;
	if (mmap(map, size, PROT_READ, MAP_SHARED | MAP_FIXED, fd, (off_t)at) == MAP_FAILED)
		log_debug("map the snapshot: %s", strerror(errno));
	/* One by one: Linux 6.1 stops after one that is not mapped yet, though it is a huge page by then. */
	else
		for (uint64_t offset = 0; offset < size; offset += MEMORY_HUGE_PAGE)
			if (madvise(map + offset, MEMORY_HUGE_PAGE, MADV_COLLAPSE) < 0)
				log_debug("huge page %llu of the kernel's text: %s", (unsigned long long)(offset / MEMORY_HUGE_PAGE),
					  strerror(errno));
	munmap(reserved, size + MEMORY_HUGE_PAGE);
}

/* Whole huge pages only: a neighbour that is copied would have to make do with small ones. */
static bool is_in_shared_block(const struct memory *mem, uint64_t offset, const uint8_t *shared, uint64_t shared_size)
{
	const uint8_t *block = mem->map + offset / MEMORY_HUGE_PAGE * MEMORY_HUGE_PAGE;

	return block >= shared && block + MEMORY_HUGE_PAGE <= shared + shared_size;
}

int snapshot_write(struct snapshot *snapshot, const struct memory *mem, const uint8_t *shared, uint64_t shared_size, int fd,
		   struct err *err)
{
	uint64_t magic = MAGIC, at = SNAPSHOT_MEMORY;

	for (uint64_t offset = 0; offset < mem->size; offset += PAGE) {
		bool is_shared = is_in_shared_block(mem, offset, shared, shared_size);

		if ((is_shared || !is_zero(mem->map + offset)) && add_page(snapshot, offset, is_shared) < 0)
			return err_msg(err, E2BIG, "memory in more than %d pieces", SNAPSHOT_EXTENTS_MAX);
	}
	for (uint32_t i = 0; i < snapshot->nextents; i++) {
		const struct snapshot_extent *extent = &snapshot->extents[i];

		at = position(extent, at);
		if (write_at(fd, mem->map + extent->offset, extent->size, at, err) < 0)
			return -err->code;
		if (extent->shared)
			collapse(fd, at, extent->size);
		at += extent->size;
	}
	if (write_at(fd, snapshot, size_with(snapshot->nvcpus), 0, err) < 0)
		return -err->code;
	return write_at(fd, &magic, sizeof(magic), offsetof(struct snapshot, magic), err);
}

static int check(const struct snapshot *snapshot, uint32_t nvcpus, struct err *err)
{
	if (snapshot->magic != MAGIC || snapshot->version != VERSION || snapshot->size != size_with(1))
		return err_msg(err, EINVAL, "this is no snapshot of this VMM");
	if (snapshot->nvcpus != nvcpus)
		return err_msg(err, EINVAL, "a snapshot of %u vCPUs for a VM with %u", snapshot->nvcpus, nvcpus);
	if (snapshot->nwindows > DEVICES_MAX || snapshot->nextents > SNAPSHOT_EXTENTS_MAX)
		return err_msg(err, EINVAL, "the snapshot has %u devices and %u pieces of memory", snapshot->nwindows,
			       snapshot->nextents);
	return 0;
}

struct snapshot *snapshot_read(int fd, uint32_t nvcpus, struct err *err)
{
	auto_free struct snapshot *snapshot = calloc(1, size_with(nvcpus));
	int ret = snapshot ? io_pread_all(fd, snapshot, size_with(nvcpus), 0) : -ENOMEM;

	if (ret < 0) {
		err_set(err, -ret, "read the snapshot");
		return NULL;
	}
	return check(snapshot, nvcpus, err) < 0 ? NULL : ptr_take(&snapshot);
}

/* Extents to be copied that follow each other in the file: one system call reads them all. */
struct batch {
	struct iovec iov[BATCH_MAX];
	int n;
	uint64_t at, end; /* in the file */
};

static int read_batch(struct batch *batch, int fd)
{
	int n = batch->n;

	batch->n = 0;
	return io_preadv_all(fd, batch->iov, n, batch->at);
}

static int copy_extent(struct batch *batch, uint8_t *to, uint64_t size, int fd, uint64_t at)
{
	int ret = batch->n == BATCH_MAX || (batch->n && batch->end != at) ? read_batch(batch, fd) : 0;

	if (batch->n == 0)
		batch->at = at;
	batch->iov[batch->n++] = (struct iovec){ to, size };
	batch->end = at + size;
	return ret;
}

static int map_extent(uint8_t *to, uint64_t size, int fd, uint64_t at)
{
	return mmap(to, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, fd, (off_t)at) == MAP_FAILED ? -errno : 0;
}

int snapshot_load(const struct snapshot *snapshot, struct memory *mem, int fd, struct err *err)
{
	struct batch batch = { .n = 0 };
	uint64_t at = SNAPSHOT_MEMORY;
	int ret = 0;

	if (snapshot->memory_size != mem->size)
		return err_msg(err, EINVAL, "a snapshot of %llu MiB for a VM of %llu",
			       (unsigned long long)(snapshot->memory_size >> 20), (unsigned long long)(mem->size >> 20));
	for (uint32_t i = 0; i < snapshot->nextents && ret == 0; i++) {
		const struct snapshot_extent *extent = &snapshot->extents[i];
		uint8_t *to = mem->map + extent->offset;

		if (extent->offset % PAGE || extent->size % PAGE || extent->offset > mem->size ||
		    extent->size > mem->size - extent->offset)
			return err_msg(err, EINVAL, "the snapshot has memory that the VM has not");
		at = position(extent, at);
		ret = extent->shared ? map_extent(to, extent->size, fd, at) : copy_extent(&batch, to, extent->size, fd, at);
		at += extent->size;
	}
	if (ret == 0)
		ret = read_batch(&batch, fd);
	return ret < 0 ? err_set(err, -ret, "read the snapshot's memory") : 0;
}
