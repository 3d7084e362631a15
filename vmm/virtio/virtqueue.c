/* SPDX-License-Identifier: Apache-2.0 */
/* The split virtqueue. */
#include "vmm/virtio/virtqueue.h"

#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>

#define DESC_SIZE 16
#define AVAIL_FLAGS 0
#define AVAIL_IDX 1
#define AVAIL_RING 2
#define USED_FLAGS 0
#define USED_IDX 1
#define USED_RING 2 /* in 16-bit words; elements are 8 bytes */

int virtqueue_enable(struct virtqueue *vq)
{
	uint64_t size = vq->size;

	if (size == 0 || size > VIRTQUEUE_SIZE_MAX || (size & (size - 1)))
		return -EINVAL;
	if (vq->desc % 16 || vq->avail % 2 || vq->used % 4)
		return -EINVAL;
	vq->desc_ring = memory_at(vq->mem, vq->desc, size * DESC_SIZE);
	vq->avail_ring = memory_at(vq->mem, vq->avail, 6 + 2 * size);
	vq->used_ring = memory_at(vq->mem, vq->used, 6 + 8 * size);
	if (!vq->desc_ring || !vq->avail_ring || !vq->used_ring)
		return -EINVAL;
	vq->next_avail = vq->next_used = vq->signalled_used = 0;
	vq->signalled_valid = false;
	memset(vq->in_flight, 0, sizeof(vq->in_flight));
	vq->broken = false;
	vq->enabled = true;
	return 0;
}

void virtqueue_reset(struct virtqueue *vq)
{
	const struct memory *mem = vq->mem;

	memset(vq, 0, sizeof(*vq));
	vq->mem = mem;
}

static int broken(struct virtqueue *vq)
{
	vq->broken = true;
	return -EBADMSG;
}

/* One read of a descriptor; the guest may change it right after. */
static struct vring_desc read_desc(const volatile uint8_t *table, uint32_t index)
{
	struct vring_desc desc;

	memcpy(&desc, (const void *)(table + (size_t)index * DESC_SIZE), sizeof(desc));
	return desc;
}

static bool in_flight(const struct virtqueue *vq, uint16_t head)
{
	return vq->in_flight[head / 64] >> (head % 64) & 1;
}

/* Adds one buffer; device-readable ones come first (2.7.4.2). */
static int add_segment(struct virtqueue *vq, struct virtqueue_chain *chain, const struct vring_desc *desc)
{
	size_t n = chain->nreadable + chain->nwritable;
	void *at;

	if (n == VIRTQUEUE_SIZE_MAX)
		return -EBADMSG;
	at = memory_at(vq->mem, desc->addr, desc->len);
	if (!at)
		return -EBADMSG;
	chain->iov[n] = (struct iovec){ .iov_base = at, .iov_len = desc->len };
	if (desc->flags & VRING_DESC_F_WRITE) {
		chain->nwritable++;
		chain->writable_bytes += desc->len;
	} else {
		if (chain->nwritable)
			return -EBADMSG;
		chain->nreadable++;
		chain->readable_bytes += desc->len;
	}
	return 0;
}

/* Follows a table of n descriptors from index. The step count bounds loops. */
static int walk(struct virtqueue *vq, struct virtqueue_chain *chain, const volatile uint8_t *table, uint32_t n,
		uint32_t index, bool indirect)
{
	for (uint32_t steps = 0; steps < n; steps++) {
		struct vring_desc desc;
		int ret;

		if (index >= n)
			return -EBADMSG;
		desc = read_desc(table, index);
		if (desc.flags & VRING_DESC_F_INDIRECT) {
			const volatile uint8_t *inner;

			/* 2.7.5.3.1: no table in a table, none with NEXT, none empty or odd. */
			if (indirect || desc.flags & VRING_DESC_F_NEXT || desc.len == 0 || desc.len % DESC_SIZE ||
			    desc.len / DESC_SIZE > VIRTQUEUE_SIZE_MAX)
				return -EBADMSG;
			inner = memory_at(vq->mem, desc.addr, desc.len);
			return inner ? walk(vq, chain, inner, desc.len / DESC_SIZE, 0, true) : -EBADMSG;
		}
		ret = add_segment(vq, chain, &desc);
		if (ret < 0)
			return ret;
		if (!(desc.flags & VRING_DESC_F_NEXT))
			return 0;
		index = desc.next;
	}
	return -EBADMSG;
}

static uint16_t read_avail_idx(const struct virtqueue *vq)
{
	/* Acquire: the ring entries and descriptors behind this index must not be read before it. */
	return __atomic_load_n((const uint16_t *)&vq->avail_ring[AVAIL_IDX], __ATOMIC_ACQUIRE);
}

int virtqueue_pop(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	uint16_t idx, head;

	if (!vq->enabled || vq->broken)
		return 0;
	idx = read_avail_idx(vq);
	if (idx == vq->next_avail)
		return 0;
	if ((uint16_t)(idx - vq->next_avail) > vq->size)
		return broken(vq);
	head = vq->avail_ring[AVAIL_RING + vq->next_avail % vq->size];
	/* A head that is in flight would be completed twice, the second time into memory that is no longer ours. */
	if (head >= vq->size || in_flight(vq, head))
		return broken(vq);
	chain->head = head;
	chain->nreadable = chain->nwritable = 0;
	chain->readable_bytes = chain->writable_bytes = 0;
	if (walk(vq, chain, vq->desc_ring, vq->size, head, false) < 0)
		return broken(vq);
	chain->readable = chain->iov;
	chain->writable = chain->iov + chain->nreadable;
	vq->in_flight[head / 64] |= 1ULL << (head % 64);
	vq->next_avail++;
	return 1;
}

void virtqueue_unpop(struct virtqueue *vq, uint16_t head)
{
	vq->in_flight[head / 64] &= ~(1ULL << (head % 64));
	vq->next_avail--;
}

void virtqueue_push_all(struct virtqueue *vq, const struct virtqueue_used *used, unsigned int n)
{
	if (!vq->enabled || vq->broken)
		return;
	for (unsigned int i = 0; i < n; i++) {
		volatile uint32_t *element = (volatile uint32_t *)&vq->used_ring[USED_RING] + 2 * (vq->next_used % vq->size);

		vq->in_flight[used[i].head / 64] &= ~(1ULL << (used[i].head % 64));
		element[0] = used[i].head;
		element[1] = used[i].written;
		vq->next_used++;
	}
	/* 2.7.8.2: the elements are visible before the index that publishes them. */
	__atomic_store_n((uint16_t *)&vq->used_ring[USED_IDX], vq->next_used, __ATOMIC_RELEASE);
}

void virtqueue_push(struct virtqueue *vq, uint16_t head, uint32_t written)
{
	virtqueue_push_all(vq, &(struct virtqueue_used){ .head = head, .written = written }, 1);
}

bool virtqueue_should_interrupt(struct virtqueue *vq)
{
	uint16_t old = vq->signalled_used, event;
	bool valid = vq->signalled_valid;

	if (!vq->enabled || vq->broken)
		return false;
	/*
	 * Full barrier between our used index and the guest's wish: without it we might read the wish from before
	 * the guest saw the index and went to sleep, and neither side would act.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	vq->signalled_used = vq->next_used;
	vq->signalled_valid = true;
	if (!vq->event_idx)
		return !(vq->avail_ring[AVAIL_FLAGS] & VRING_AVAIL_F_NO_INTERRUPT);
	event = vq->avail_ring[AVAIL_RING + vq->size];
	return !valid || (uint16_t)(vq->next_used - event - 1) < (uint16_t)(vq->next_used - old);
}

static volatile uint16_t *avail_event(struct virtqueue *vq)
{
	return &vq->used_ring[USED_RING + 4 * vq->size];
}

bool virtqueue_enable_notify(struct virtqueue *vq)
{
	if (!vq->enabled || vq->broken)
		return false;
	if (vq->event_idx)
		*avail_event(vq) = vq->next_avail;
	else
		vq->used_ring[USED_FLAGS] = 0;
	/* As in virtqueue_should_interrupt, the other way round. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return read_avail_idx(vq) != vq->next_avail;
}

void virtqueue_disable_notify(struct virtqueue *vq)
{
	/* With event_idx the old avail_event lies behind: the guest will not notify until it is moved. */
	if (vq->enabled && !vq->broken && !vq->event_idx)
		vq->used_ring[USED_FLAGS] = VRING_USED_F_NO_NOTIFY;
}

size_t iov_slice(const struct iovec *iov, size_t niov, size_t offset, size_t len, struct iovec *out)
{
	size_t n = 0;

	for (size_t i = 0; i < niov && len > 0; i++) {
		size_t part;

		if (offset >= iov[i].iov_len) {
			offset -= iov[i].iov_len;
			continue;
		}
		part = iov[i].iov_len - offset;
		if (part > len)
			part = len;
		out[n].iov_base = (uint8_t *)iov[i].iov_base + offset;
		out[n++].iov_len = part;
		len -= part;
		offset = 0;
	}
	return n;
}

size_t iov_read(const struct iovec *iov, size_t niov, size_t offset, void *buf, size_t len)
{
	size_t done = 0;

	for (size_t i = 0; i < niov && done < len; i++) {
		size_t part;

		if (offset >= iov[i].iov_len) {
			offset -= iov[i].iov_len;
			continue;
		}
		part = iov[i].iov_len - offset < len - done ? iov[i].iov_len - offset : len - done;
		memcpy((uint8_t *)buf + done, (uint8_t *)iov[i].iov_base + offset, part);
		done += part;
		offset = 0;
	}
	return done;
}

size_t iov_write(const struct iovec *iov, size_t niov, size_t offset, const void *buf, size_t len)
{
	size_t done = 0;

	for (size_t i = 0; i < niov && done < len; i++) {
		size_t part;

		if (offset >= iov[i].iov_len) {
			offset -= iov[i].iov_len;
			continue;
		}
		part = iov[i].iov_len - offset < len - done ? iov[i].iov_len - offset : len - done;
		memcpy((uint8_t *)iov[i].iov_base + offset, (const uint8_t *)buf + done, part);
		done += part;
		offset = 0;
	}
	return done;
}
