/* SPDX-License-Identifier: Apache-2.0 */
/* The input is the head of guest memory: descriptors, rings, buffers. Every chain is popped, filled and pushed. */
#include <string.h>

#include "tests/unit/vmm/guest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct memory *mem;
	static struct virtqueue_chain chain;
	struct virtqueue vq;
	struct err err;
	int budget = 300;

	if (!mem)
		mem = memory_new(GUEST_MEMORY, 0, &err);
	if (size < 1 || size > 0x20000)
		return 0;
	guest_queue(&vq, mem, (uint16_t)(1U << (data[0] % 9)));
	vq.event_idx = data[0] & 0x80;
	memcpy(memory_at(mem, GUEST_DESC, 0x20000), data + 1, size - 1);
	if (virtqueue_enable(&vq) < 0)
		return 0;
	while (budget-- > 0 && virtqueue_pop(&vq, &chain) > 0) {
		for (size_t i = 0; i < chain.nwritable; i++)
			memset(chain.writable[i].iov_base, 0x5a, chain.writable[i].iov_len < 64 ? chain.writable[i].iov_len : 64);
		virtqueue_push(&vq, chain.head, (uint32_t)chain.writable_bytes);
		virtqueue_should_interrupt(&vq);
		virtqueue_enable_notify(&vq);
	}
	return 0;
}
