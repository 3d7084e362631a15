/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One io_uring for all disks of a VM. It is made before the jail closes, and can then do nothing but read, write and sync
 * (IORING_REGISTER_RESTRICTIONS): requests in it do not pass the seccomp filter. I/O thread.
 */
#ifndef VMM_VIRTIO_DISK_RING_H
#define VMM_VIRTIO_DISK_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "lib/err.h"
#include "lib/loop.h"

#define DISK_RING_REQUESTS 128 /* that a disk may have under way */

struct disk_ring;

struct disk_request {
	struct disk_ring_user *user;
	int result; /* bytes, or -errno */
	struct disk_request *next;
};

/* Who has requests under way; one for each disk. */
struct disk_ring_user {
	/* From the loop: requests are in `completed`, for disk_ring_take. */
	void (*ready)(struct disk_ring_user *user);
	struct disk_request *completed;
	struct disk_ring_user *next;
};

/* loop: borrowed. */
struct disk_ring *disk_ring_new(struct loop *loop, struct err *err);
/* Nobody has a request under way. */
void disk_ring_free(struct disk_ring *ring);

/* A user has no request under way when it goes. */
void disk_ring_add_user(struct disk_ring *ring, struct disk_ring_user *user);
void disk_ring_remove_user(struct disk_ring *ring, struct disk_ring_user *user);

/* Prepare a request for disk_ring_submit; request and iov stay where they are until it is completed. false: no room. */
bool disk_ring_transfer(struct disk_ring *ring, struct disk_request *request, int fd, const struct iovec *iov, size_t n,
			uint64_t offset, bool is_read);
bool disk_ring_flush(struct disk_ring *ring, struct disk_request *request, int fd);

/* 0 or -errno. */
int disk_ring_submit(struct disk_ring *ring) must_check;

/* The next completed request of a user, or NULL. */
struct disk_request *disk_ring_take(struct disk_ring_user *user);

/* Blocks until some request is completed, whoever's; then disk_ring_take may find it. 0 or -errno. */
int disk_ring_wait(struct disk_ring *ring) must_check;

#endif
