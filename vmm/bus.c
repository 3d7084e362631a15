/* SPDX-License-Identifier: Apache-2.0 */
/* From an address to the device behind it. */
#include "vmm/bus.h"

#include <errno.h>
#include <string.h>

int bus_add(struct bus *bus, uint64_t base, uint64_t size, bus_handler *handler, void *ctx)
{
	for (size_t i = 0; i < bus->nranges; i++)
		if (base < bus->ranges[i].base + bus->ranges[i].size && bus->ranges[i].base < base + size)
			return -EEXIST;
	if (bus->nranges == BUS_RANGES_MAX)
		return -ENOSPC;
	bus->ranges[bus->nranges++] = (struct bus_range){ base, size, handler, ctx };
	return 0;
}

void bus_access(const struct bus *bus, uint64_t address, void *data, unsigned int len, bool is_write)
{
	for (size_t i = 0; i < bus->nranges; i++) {
		const struct bus_range *range = &bus->ranges[i];

		if (address < range->base || address - range->base >= range->size)
			continue;
		if (len > range->size - (address - range->base))
			break;
		if (!is_write)
			memset(data, 0, len);
		range->handler(range->ctx, address - range->base, data, len, is_write);
		return;
	}
	if (!is_write)
		memset(data, 0xff, len);
}
