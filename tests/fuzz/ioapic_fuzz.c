/* SPDX-License-Identifier: Apache-2.0 */
/* Register accesses of a hostile guest; whatever it writes, the routes stay within the pins and are messages. */
#include <stdlib.h>

#include "vmm/arch/x86_64/ioapic.h"

#define PINS 5

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ioapic ioapic;

	ioapic_init(&ioapic, -1, PINS);
	for (; size >= 6; data += 6, size -= 6) {
		uint64_t value = (uint64_t)data[2] << 56 | (uint64_t)data[3] << 48 | (uint64_t)data[4] << 40 | (uint64_t)data[5] << 32 |
				 (uint64_t)data[2] << 24 | (uint64_t)data[3] << 16 | (uint64_t)data[4] << 8 | data[5];
		uint64_t offset = data[1] & 16 ? 0x400 + (uint64_t)data[0] * 4 + (data[1] >> 5) : data[0] & 0x3f;

		ioapic_access(&ioapic, offset, &value, data[1] & 8 ? 1U << (data[1] & 3) : 4, data[1] & 4);
	}
	for (unsigned int i = 0; i < PINS; i++) {
		struct kvm_irq_routing_entry route;

		if (ioapic_route(&ioapic, i, &route) &&
		    (route.gsi != i || route.u.msi.address_lo >> 20 != 0xfee || route.u.msi.address_hi))
			abort();
	}
	return 0;
}
