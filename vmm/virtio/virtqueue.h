/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A split virtqueue, device side (virtio 1.2, 2.7): descriptor chains out of the ring as iovecs, used elements back.
 *
 * Theory of operation. The guest writes a descriptor table and the available ring; we write the used ring. All three
 * lie in guest memory, so every field may change between two reads. This module reads each field once, decides on the
 * copy and gives out host addresses that memory_at checked. What the iovecs point at stays guest memory: users copy
 * headers before they look at them.
 *
 * A malformed ring or chain makes the queue broken: virtqueue_pop returns the error once and nothing more until the
 * device is reset. Calls on one queue must not overlap: the owner's lock.
 */
#ifndef VMM_VIRTIO_VIRTQUEUE_H
#define VMM_VIRTIO_VIRTQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "lib/err.h"
#include "vmm/memory.h"

#define VIRTQUEUE_SIZE_MAX 256

struct virtqueue {
	const struct memory *mem; /* borrowed */
	/* Set by the transport before virtqueue_enable, frozen by it. */
	uint16_t size;
	gpa_t desc, avail, used;
	bool event_idx; /* VIRTIO_F_EVENT_IDX was negotiated */

	bool enabled;
	bool broken;
	const volatile uint8_t *desc_ring; /* guest memory */
	const volatile uint16_t *avail_ring; /* guest memory: flags, idx, ring[size], used_event */
	volatile uint16_t *used_ring;	     /* guest memory: flags, idx, ring[size], avail_event */
	uint16_t next_avail;
	uint16_t next_used;
	uint16_t signalled_used; /* next_used when the guest was last interrupted */
	bool signalled_valid;
	uint64_t in_flight[VIRTQUEUE_SIZE_MAX / 64]; /* heads popped and not pushed yet */
};

/* One chain: what the device may read, then what it may write. */
struct virtqueue_chain {
	uint16_t head;
	size_t nreadable, nwritable;
	uint64_t readable_bytes, writable_bytes;
	struct iovec *readable; /* points into iov */
	struct iovec *writable;
	struct iovec iov[VIRTQUEUE_SIZE_MAX];
};

/*
 * Checks size (a power of two up to VIRTQUEUE_SIZE_MAX), alignment (2.7: 16, 2, 4) and that all three rings lie in
 * memory, and starts at index 0. 0 or -EINVAL.
 */
int virtqueue_enable(struct virtqueue *vq) must_check;

/* Forgets everything but mem. */
void virtqueue_reset(struct virtqueue *vq);

/* 1 and a chain, 0 when there is none, -EBADMSG when the guest broke the rules (now the queue is broken). */
int virtqueue_pop(struct virtqueue *vq, struct virtqueue_chain *chain) must_check;

/* Returns a chain with the number of bytes written into it; clamped by the caller to writable_bytes. */
void virtqueue_push(struct virtqueue *vq, uint16_t head, uint32_t written);

/* Several at once: the guest sees all of them or none. */
struct virtqueue_used {
	uint16_t head;
	uint32_t written;
};
void virtqueue_push_all(struct virtqueue *vq, const struct virtqueue_used *used, unsigned int n);

/* Takes the chain that was popped last back, as if it had not been popped. */
void virtqueue_unpop(struct virtqueue *vq, uint16_t head);

/* Whether the guest wants an interrupt for what was pushed since the last time this was asked (2.7.7, 2.7.10). */
bool virtqueue_should_interrupt(struct virtqueue *vq);

/*
 * Asks for a notification when more buffers come. Returns true if some came meanwhile: then look again. Until
 * virtqueue_pop finds the ring empty the guest need not notify (virtqueue_disable_notify).
 */
bool virtqueue_enable_notify(struct virtqueue *vq);
void virtqueue_disable_notify(struct virtqueue *vq);

/* Copies len bytes at offset of the bytes that iov describes; returns how many there were to copy. */
size_t iov_read(const struct iovec *iov, size_t niov, size_t offset, void *buf, size_t len);
size_t iov_write(const struct iovec *iov, size_t niov, size_t offset, const void *buf, size_t len);

/* The part [offset, offset + len) of iov as out (room for niov entries); returns the number of entries. */
size_t iov_slice(const struct iovec *iov, size_t niov, size_t offset, size_t len, struct iovec *out);

#endif
