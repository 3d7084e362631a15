/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/memory.h"

#include "tests/unit/test.h"

static void test_only_ranges_within_ram_become_pointers(void **state)
{
	static const struct {
		gpa_t gpa;
		uint64_t len;
	} bad[] = {
		{ 0, 0 },	{ 0, (4 << 20) + 1 },	 { 4 << 20, 1 },	    { (4 << 20) - 1, 2 },
		{ UINT64_MAX, 1 }, { UINT64_MAX, UINT64_MAX }, { 1, UINT64_MAX }, { 0xd0000000, 4 },
		{ 1ULL << 63, 1ULL << 63 },
	};
	struct err err;
	struct memory *mem = memory_new(4 << 20, 0, &err);

	(void)state;
	assert_non_null(mem);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_null(memory_at(mem, bad[i].gpa, bad[i].len));
	assert_ptr_equal(memory_at(mem, 0, 4 << 20), mem->map);
	assert_ptr_equal(memory_at(mem, (4 << 20) - 1, 1), mem->map + (4 << 20) - 1);
	memory_free(mem);
}

static void test_the_hole_separates_two_regions(void **state)
{
	struct err err;
	struct memory *mem = memory_new(MEMORY_HOLE_START + (2 << 20), 0, &err);

	(void)state;
	assert_non_null(mem);
	assert_int_equal(mem->nregions, 2);
	assert_non_null(memory_at(mem, MEMORY_HOLE_START - 1, 1));
	assert_null(memory_at(mem, MEMORY_HOLE_START - 1, 2));
	assert_null(memory_at(mem, MEMORY_HOLE_START, 1));
	assert_ptr_equal(memory_at(mem, MEMORY_HOLE_END, 2 << 20), mem->map + MEMORY_HOLE_START);
	assert_null(memory_at(mem, MEMORY_HOLE_END, (2 << 20) + 1));
	memory_free(mem);
}

static void test_discarded_pages_read_as_zero(void **state)
{
	struct err err;
	struct memory *mem = memory_new(4 << 20, 0, &err);

	(void)state;
	memset(mem->map, 0xaa, 3 * 4096);
	assert_int_equal(memory_discard(mem, 4096, 4096), 0);
	assert_int_equal(mem->map[4095], 0xaa);
	assert_int_equal(mem->map[4096], 0);
	assert_int_equal(mem->map[8192], 0xaa);
	assert_int_equal(memory_discard(mem, 4 << 20, 4096), -EFAULT);
	memory_free(mem);
}

static void test_only_what_is_open_of_the_growth_is_memory(void **state)
{
	struct err err;
	struct memory *mem = memory_new(4 << 20, 3 * MEMORY_BLOCK + 1, &err);
	gpa_t start = MEMORY_HOLE_END;

	(void)state;
	assert_int_equal(mem->growth_max, 3 * MEMORY_BLOCK);
	assert_null(memory_at(mem, start, 1));
	assert_int_equal(memory_open_growth(mem, MEMORY_BLOCK), 0);
	memset(memory_at(mem, start + MEMORY_BLOCK - 4096, 4096), 1, 4096);
	assert_null(memory_at(mem, start + MEMORY_BLOCK - 1, 2));
	assert_null(memory_at(mem, start - 1, 2));
	/* Never less. */
	assert_int_equal(memory_open_growth(mem, 0), 0);
	assert_non_null(memory_at(mem, start, MEMORY_BLOCK));
	assert_int_equal(memory_open_growth(mem, 4 * MEMORY_BLOCK), -EINVAL);
	memory_free(mem);
}

TESTS(cmocka_unit_test(test_only_what_is_open_of_the_growth_is_memory), cmocka_unit_test(test_only_ranges_within_ram_become_pointers), cmocka_unit_test(test_the_hole_separates_two_regions),
      cmocka_unit_test(test_discarded_pages_read_as_zero))
