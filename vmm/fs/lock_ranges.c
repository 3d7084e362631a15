/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/fs/lock_ranges.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

static bool overlap(const struct lock_range *a, const struct lock_range *b)
{
	return a->start <= b->end && b->start <= a->end;
}

/* Overlap, or follow each other without a gap. `end` may be the largest offset. */
static bool touch(const struct lock_range *a, const struct lock_range *b)
{
	return overlap(a, b) || (a->start > b->end && a->start - b->end == 1) || (b->start > a->end && b->start - a->end == 1);
}

static void add(struct lock_ranges *ranges, off_t start, off_t end, short type)
{
	ranges->items[ranges->count++] = (struct lock_range){ start, end, type };
}

int lock_ranges_change(const struct lock_ranges *ranges, const struct lock_range *change, struct lock_ranges *result)
{
	struct lock_range grown = *change;

	/* At most one range is cut in two, and one is new. */
	result->count = 0;
	result->items = calloc(ranges->count + 2, sizeof(*result->items));
	if (!result->items)
		return ENOMEM;
	for (size_t i = 0; i < ranges->count; i++) {
		const struct lock_range *range = &ranges->items[i];

		if (range->type == change->type && touch(range, change)) {
			grown.start = range->start < grown.start ? range->start : grown.start;
			grown.end = range->end > grown.end ? range->end : grown.end;
		} else if (overlap(range, change)) {
			/* No overflow: neither part is made unless there is an offset beyond the change. */
			if (range->start < change->start)
				add(result, range->start, change->start - 1, range->type);
			if (range->end > change->end)
				add(result, change->end + 1, range->end, range->type);
		} else {
			add(result, range->start, range->end, range->type);
		}
	}
	if (grown.type != F_UNLCK)
		add(result, grown.start, grown.end, grown.type);
	return 0;
}

bool lock_ranges_have(const struct lock_ranges *ranges, const struct lock_range *range)
{
	for (size_t i = 0; i < ranges->count; i++)
		if (ranges->items[i].start == range->start && ranges->items[i].end == range->end && ranges->items[i].type == range->type)
			return true;
	return false;
}

void lock_ranges_free(struct lock_ranges *ranges)
{
	free(ranges->items);
	*ranges = (struct lock_ranges){ 0 };
}
