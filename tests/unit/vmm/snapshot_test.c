/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/snapshot.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "lib/io.h"
#include "tests/unit/test.h"

#define MIB (1ULL << 20)
#define PAGE 4096
#define MEMORY (8 * MIB)
#define SHARED (2 * MIB) /* guest address and size of what VMs may share */

static struct memory *mem;
static struct err err;

static int set_up(void **state)
{
	(void)state;
	mem = memory_new(MEMORY, 0, &err);
	assert_non_null(mem);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	memory_free(mem);
	return 0;
}

/* Saves mem in a file, which is returned open. */
static int save(uint32_t nvcpus)
{
	auto_free struct snapshot *snapshot = snapshot_new(mem, nvcpus, &err);
	int fd = memfd_create("snapshot", MFD_CLOEXEC);

	assert_true(snapshot && fd >= 0);
	snapshot->vcpus[nvcpus - 1].regs.rip = 0x1234;
	snapshot->devices[2].id = 19;
	assert_int_equal(snapshot_write(snapshot, mem, mem->map + SHARED, SHARED, fd, &err), 0);
	return fd;
}

static bool holds(const struct memory *memory, uint64_t offset, char byte)
{
	const char *at = memory_at(memory, offset, PAGE);

	return at[0] == byte && at[PAGE - 1] == byte;
}

static void fill(uint64_t offset, char byte)
{
	memset(memory_at(mem, offset, PAGE), byte, PAGE);
}

static void test_what_was_saved_comes_back(void **state)
{
	struct memory *other = memory_new(MEMORY, 0, &err);
	struct snapshot *snapshot;
	auto_fd fd = -1;

	(void)state;
	fill(0, 'a');
	fill(SHARED - PAGE, 'b');
	fill(SHARED, 'c'); /* neighbours, of which one is shared */
	fill(SHARED + MIB, 'd');
	fill(MEMORY - PAGE, 'e');
	fd = save(3);
	assert_null(snapshot_read(fd, 2, &err));
	assert_null(snapshot_read(fd, 4, &err));
	snapshot = snapshot_read(fd, 3, &err);
	assert_non_null(snapshot);
	assert_int_equal(snapshot->nvcpus, 3);
	assert_int_equal(snapshot->vcpus[2].regs.rip, 0x1234);
	assert_int_equal(snapshot->devices[2].id, 19);
	assert_int_equal(snapshot_load(snapshot, other, fd, &err), 0);
	assert_true(holds(other, 0, 'a') && holds(other, SHARED - PAGE, 'b') && holds(other, SHARED, 'c'));
	assert_true(holds(other, SHARED + MIB, 'd') && holds(other, MEMORY - PAGE, 'e'));
	assert_true(holds(other, PAGE, 0) && holds(other, SHARED + 100 * PAGE, 0));
	free(snapshot);
	memory_free(other);
}

/* What is shared begins and ends within huge pages: those two are copied. */
static void test_only_whole_huge_pages_are_shared(void **state)
{
	auto_free struct snapshot *snapshot = snapshot_new(mem, 1, &err);
	auto_fd fd = memfd_create("snapshot", MFD_CLOEXEC);

	(void)state;
	memset(mem->map, 'a', MEMORY);
	assert_int_equal(snapshot_write(snapshot, mem, mem->map + PAGE, 5 * MIB, fd, &err), 0);
	assert_int_equal(snapshot->nextents, 3);
	assert_true(snapshot->extents[1].offset == 2 * MIB && snapshot->extents[1].size == 2 * MIB && snapshot->extents[1].shared);
	assert_true(!snapshot->extents[0].shared && !snapshot->extents[2].shared);
}

/* What one VM writes no other one sees, be it mapped or copied. */
static void test_vms_do_not_see_each_other(void **state)
{
	struct memory *one = memory_new(MEMORY, 0, &err), *two = memory_new(MEMORY, 0, &err);
	struct snapshot *snapshot;
	auto_fd fd = -1;

	(void)state;
	fill(0, 'a');
	fill(SHARED, 'b');
	fd = save(1);
	snapshot = snapshot_read(fd, 1, &err);
	assert_int_equal(snapshot_load(snapshot, one, fd, &err), 0);
	assert_int_equal(snapshot_load(snapshot, two, fd, &err), 0);
	memset(memory_at(one, 0, PAGE), 'x', PAGE);
	memset(memory_at(one, SHARED, PAGE), 'x', PAGE);
	assert_true(holds(two, 0, 'a') && holds(two, SHARED, 'b'));
	assert_true(holds(mem, 0, 'a') && holds(mem, SHARED, 'b'));
	free(snapshot);
	memory_free(one);
	memory_free(two);
}

static void test_memory_that_is_zero_takes_no_room(void **state)
{
	auto_fd fd = -1;
	off_t empty;

	(void)state;
	fd = save(1);
	empty = lseek(fd, 0, SEEK_END);
	close(fd_take(&fd));
	fill(MIB, 'a');
	fill(6 * MIB, 'b');
	fd = save(1);
	assert_int_equal(lseek(fd, 0, SEEK_END) - empty, PAGE); /* behind what is shared, which has its room always */
}

/* More than one system call reads. */
static void test_many_pieces_come_back(void **state)
{
	struct memory *large = memory_new(64 * MIB, 0, &err), *other = memory_new(64 * MIB, 0, &err);
	auto_free struct snapshot *snapshot = snapshot_new(large, 1, &err);
	auto_fd fd = memfd_create("snapshot", MFD_CLOEXEC);

	(void)state;
	for (uint64_t i = 0; i < 270; i++)
		memset(memory_at(large, i * 60 * PAGE, PAGE), (int)(i % 100 + 1), PAGE);
	assert_int_equal(snapshot_write(snapshot, large, large->map + 8 * MIB, 2 * MIB, fd, &err), 0);
	assert_true(snapshot->nextents > 200);
	assert_int_equal(snapshot_load(snapshot, other, fd, &err), 0);
	assert_memory_equal(other->map, large->map, 64 * MIB);
	memory_free(large);
	memory_free(other);
}

static void test_memory_in_too_many_pieces_is_refused(void **state)
{
	struct memory *large = memory_new(512 * MIB, 0, &err);
	struct snapshot *snapshot = snapshot_new(large, 1, &err);
	auto_fd fd = memfd_create("snapshot", MFD_CLOEXEC);

	(void)state;
	for (uint64_t i = 0; i <= SNAPSHOT_EXTENTS_MAX; i++)
		*(char *)memory_at(large, i * 60 * PAGE, 1) = 1;
	assert_int_equal(snapshot_write(snapshot, large, NULL, 0, fd, &err), -E2BIG);
	assert_null(snapshot_read(fd, 1, &err));
	free(snapshot);
	memory_free(large);
}

/* Damages: a field of the file's beginning, or where it ends. */
static void test_what_is_no_snapshot_is_refused(void **state)
{
	static const struct {
		size_t offset;
		uint32_t value;
	} damages[] = {
		{ offsetof(struct snapshot, magic), 1 },
		{ offsetof(struct snapshot, version), 99 },
		{ offsetof(struct snapshot, size), 5 },
		{ offsetof(struct snapshot, nvcpus), 0 },
		{ offsetof(struct snapshot, nvcpus), 2 },
		{ offsetof(struct snapshot, nvcpus), CONFIG_VCPUS_MAX }, /* more than the file has */
		{ offsetof(struct snapshot, nvcpus), CONFIG_VCPUS_MAX + 1 },
		{ offsetof(struct snapshot, nwindows), DEVICES_MAX + 1 },
		{ offsetof(struct snapshot, nextents), SNAPSHOT_EXTENTS_MAX + 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
		auto_fd fd = save(1);

		assert_int_equal(ftruncate(fd, offsetof(struct snapshot, vcpus[1])), 0); /* without memory */
		assert_int_equal(io_pwrite_all(fd, &damages[i].value, 4, damages[i].offset), 0);
		assert_null(snapshot_read(fd, 1, &err));
		assert_true(err.code > 0);
	}
	for (off_t end = 0; end < (off_t)offsetof(struct snapshot, vcpus[1]); end += 4099) {
		auto_fd fd = save(1);

		assert_int_equal(ftruncate(fd, end), 0);
		assert_null(snapshot_read(fd, 1, &err));
	}
}

static void test_memory_that_the_vm_has_not_is_refused(void **state)
{
	static const struct snapshot_extent extents[] = {
		{ MEMORY, PAGE, 0 }, { MEMORY - PAGE, 2 * PAGE, 0 }, { UINT64_MAX - PAGE + 1, PAGE, 0 },
		{ 0, UINT64_MAX - PAGE + 1, 1 }, { 17, PAGE, 1 }, { 0, 100, 0 },
	};

	(void)state;
	fill(0, 'a');
	for (size_t i = 0; i < ARRAY_SIZE(extents); i++) {
		auto_fd fd = save(1);
		auto_free struct snapshot *snapshot = snapshot_read(fd, 1, &err);

		snapshot->extents[0] = extents[i];
		assert_int_equal(snapshot_load(snapshot, mem, fd, &err), -EINVAL);
		snapshot->memory_size = 2 * MEMORY;
		assert_int_equal(snapshot_load(snapshot, mem, fd, &err), -EINVAL);
	}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

TESTS(TEST(test_what_was_saved_comes_back), TEST(test_vms_do_not_see_each_other),
      TEST(test_only_whole_huge_pages_are_shared),
      TEST(test_memory_that_is_zero_takes_no_room),
      TEST(test_many_pieces_come_back), TEST(test_memory_in_too_many_pieces_is_refused), TEST(test_what_is_no_snapshot_is_refused),
      TEST(test_memory_that_the_vm_has_not_is_refused))
