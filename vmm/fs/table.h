/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers that a guest may hold for things that live here. A number is an index, looked up on each use: a guest that
 * makes one up gets nothing. Not thread-safe: the owner's lock.
 */
#ifndef VMM_FS_TABLE_H
#define VMM_FS_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct table {
	void **slots; /* owned; the values are borrowed */
	size_t size, used, max;
	size_t free_hint; /* no free slot below */
};

void table_init(struct table *table, size_t max);
void table_done(struct table *table);

/* The number for value, or -ENFILE (max reached) or -ENOMEM. */
int64_t table_add(struct table *table, void *value);

/* NULL if nothing has this number. */
void *table_get(const struct table *table, uint64_t number);
void table_remove(struct table *table, uint64_t number);

#endif
