/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges against an account of them byte by byte. */
#include <fcntl.h>
#include <stdint.h>

#include "tests/unit/test.h"
#include "vmm/fs/lock_ranges.h"

#define BYTES 24

static void change(struct lock_ranges *ranges, off_t start, off_t end, short type)
{
	struct lock_range range = { start, end, type };
	struct lock_ranges result;

	assert_int_equal(lock_ranges_change(ranges, &range, &result), 0);
	lock_ranges_free(ranges);
	*ranges = result;
}

static short type_at(const struct lock_ranges *ranges, off_t at)
{
	short type = F_UNLCK;

	for (size_t i = 0; i < ranges->count; i++) {
		if (at < ranges->items[i].start || at > ranges->items[i].end)
			continue;
		assert_int_equal(type, F_UNLCK); /* in one range only */
		type = ranges->items[i].type;
	}
	return type;
}

/* How many there must be: as often as a type begins. */
static size_t runs(const short types[BYTES])
{
	size_t n = 0;

	for (int i = 0; i < BYTES; i++)
		n += types[i] != F_UNLCK && (i == 0 || types[i - 1] != types[i]);
	return n;
}

static void test_any_changes(void **state)
{
	static const short kinds[] = { F_RDLCK, F_WRLCK, F_UNLCK };
	struct lock_ranges ranges = { 0 };
	short types[BYTES];
	unsigned int random = 1;

	(void)state;
	for (int i = 0; i < BYTES; i++)
		types[i] = F_UNLCK;
	for (int round = 0; round < 20000; round++) {
		int start, end;
		short type;

		random = random * 1103515245 + 12345;
		start = (int)(random >> 8) % BYTES;
		end = start + (int)(random >> 16) % (BYTES - start);
		type = kinds[(random >> 24) % 3];
		change(&ranges, start, end, type);
		for (int i = start; i <= end; i++)
			types[i] = type;
		for (int i = 0; i < BYTES; i++)
			assert_int_equal(type_at(&ranges, i), types[i]);
		assert_int_equal(ranges.count, runs(types));
	}
	lock_ranges_free(&ranges);
}

static void test_up_to_the_last_offset(void **state)
{
	struct lock_ranges ranges = { 0 };

	(void)state;
	change(&ranges, 10, INT64_MAX, F_WRLCK);
	change(&ranges, INT64_MAX, INT64_MAX, F_WRLCK);
	change(&ranges, 0, 9, F_WRLCK);
	assert_int_equal(ranges.count, 1);
	assert_true(lock_ranges_have(&ranges, &(struct lock_range){ 0, INT64_MAX, F_WRLCK }));
	assert_false(lock_ranges_have(&ranges, &(struct lock_range){ 0, INT64_MAX, F_RDLCK }));
	assert_false(lock_ranges_have(&ranges, &(struct lock_range){ 0, 9, F_WRLCK }));
	change(&ranges, 5, INT64_MAX, F_UNLCK);
	assert_true(lock_ranges_have(&ranges, &(struct lock_range){ 0, 4, F_WRLCK }));
	change(&ranges, 0, INT64_MAX, F_UNLCK);
	assert_int_equal(ranges.count, 0);
	lock_ranges_free(&ranges);
}

TESTS(cmocka_unit_test(test_any_changes), cmocka_unit_test(test_up_to_the_last_offset))
