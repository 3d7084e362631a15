/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers for values. */
#include "vmm/fs/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void table_init(struct table *table, size_t max)
{
	memset(table, 0, sizeof(*table));
	table->max = max;
}

void table_done(struct table *table)
{
	free(table->slots);
	table_init(table, table->max);
}

static int grow(struct table *table)
{
	size_t size = table->size ? table->size * 2 : 64;
	void **slots;

	if (size > table->max)
		size = table->max;
	if (size == table->size)
		return -ENFILE;
	slots = realloc(table->slots, size * sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	memset(slots + table->size, 0, (size - table->size) * sizeof(*slots));
	table->slots = slots;
	table->size = size;
	return 0;
}

int64_t table_add(struct table *table, void *value)
{
	size_t at = table->free_hint;

	if (table->used == table->size) {
		int ret = grow(table);

		if (ret < 0)
			return ret;
	}
	while (table->slots[at])
		at++; /* ends: used < size, and nothing below free_hint is free */
	table->slots[at] = value;
	table->used++;
	table->free_hint = at + 1;
	return (int64_t)at;
}

void *table_get(const struct table *table, uint64_t number)
{
	return number < table->size ? table->slots[number] : NULL;
}

void table_remove(struct table *table, uint64_t number)
{
	if (!table_get(table, number))
		return;
	table->slots[number] = NULL;
	table->used--;
	if (number < table->free_hint)
		table->free_hint = number;
}
