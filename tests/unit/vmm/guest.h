/* SPDX-License-Identifier: Apache-2.0 */
/* A guest driver for tests: builds rings in guest memory the way a driver does, and breaks them the way an attacker does. */
#ifndef TESTS_UNIT_VMM_GUEST_H
#define TESTS_UNIT_VMM_GUEST_H

#include <linux/virtio_ring.h>
#include <stdint.h>
#include <string.h>

#include "vmm/memory.h"
#include "vmm/virtio/virtqueue.h"

#define GUEST_MEMORY (4ULL << 20)
#define GUEST_DESC 0x1000ULL
#define GUEST_AVAIL 0x3000ULL
#define GUEST_USED 0x4000ULL
#define GUEST_DATA 0x10000ULL

static inline void guest_desc(const struct memory *mem, unsigned int i, uint64_t addr, uint32_t len, uint16_t flags,
			      uint16_t next)
{
	struct vring_desc desc = { .addr = addr, .len = len, .flags = flags, .next = next };

	memcpy((uint8_t *)memory_at(mem, GUEST_DESC, 4096) + i * 16, &desc, 16);
}

static inline void guest_offer(const struct memory *mem, uint16_t size, uint16_t head)
{
	uint16_t *avail = memory_at(mem, GUEST_AVAIL, 4096);

	avail[2 + avail[1] % size] = head;
	avail[1]++;
}

static inline void guest_queue(struct virtqueue *vq, const struct memory *mem, uint16_t size)
{
	memset(vq, 0, sizeof(*vq));
	vq->mem = mem;
	vq->size = size;
	vq->desc = GUEST_DESC;
	vq->avail = GUEST_AVAIL;
	vq->used = GUEST_USED;
	memset(memory_at(mem, GUEST_DESC, 0x5000), 0, 0x5000);
}

#endif
