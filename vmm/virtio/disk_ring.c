/* SPDX-License-Identifier: Apache-2.0 */
/* One io_uring for all disks. */
#include "vmm/virtio/disk_ring.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "vmm/config.h"

struct disk_ring {
	struct loop *loop; /* borrowed */
	struct io_uring ring;
	bool is_open;
	int completions; /* eventfd, owned */
	struct disk_ring_user *users;
};

/* Sorts completions by user. Returns whether there were any. */
static bool collect(struct disk_ring *ring)
{
	struct io_uring_cqe *cqe;
	bool any = false;

	while (io_uring_peek_cqe(&ring->ring, &cqe) == 0) {
		struct disk_request *request = io_uring_cqe_get_data(cqe);

		request->result = cqe->res;
		request->next = request->user->completed;
		request->user->completed = request;
		io_uring_cqe_seen(&ring->ring, cqe);
		any = true;
	}
	return any;
}

static void completions_arrived(void *ctx, uint32_t events)
{
	struct disk_ring *ring = ctx;
	uint64_t count;

	(void)events;
	if (read(ring->completions, &count, sizeof(count)) != sizeof(count))
		return;
	collect(ring);
	for (struct disk_ring_user *user = ring->users, *next; user; user = next) {
		next = user->next;
		if (user->completed)
			user->ready(user);
	}
}

/* liburing's shared library of Debian 12 does not export its functions for these. */
static int register_with(struct io_uring *ring, unsigned int opcode, const void *arg, size_t n)
{
	return syscall(SYS_io_uring_register, ring->ring_fd, opcode, arg, n) < 0 ? -errno : 0;
}

static int restrict_to_disks(struct io_uring *ring)
{
	static const struct io_uring_restriction allowed[] = {
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_READV },
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_WRITEV },
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_FSYNC },
	};

	return register_with(ring, IORING_REGISTER_RESTRICTIONS, allowed, ARRAY_SIZE(allowed));
}

static int set_up(struct disk_ring *ring)
{
	/* Room for the completions of all disks: none is late because another disk's are not read yet. */
	struct io_uring_params params = {
		.flags = IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE,
		.cq_entries = CONFIG_DISKS_MAX * DISK_RING_REQUESTS,
	};
	int ret = io_uring_queue_init_params(DISK_RING_REQUESTS, &ring->ring, &params);

	if (ret < 0)
		return ret;
	ring->is_open = true;
	ring->completions = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ring->completions < 0)
		return -errno;
	ret = io_uring_register_eventfd(&ring->ring, ring->completions);
	if (ret == 0)
		ret = restrict_to_disks(&ring->ring);
	return ret == 0 ? register_with(&ring->ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0) : ret;
}

struct disk_ring *disk_ring_new(struct loop *loop, struct err *err)
{
	struct disk_ring *ring = calloc(1, sizeof(*ring));
	int ret;

	if (!ring) {
		err_set(err, ENOMEM, "io_uring");
		return NULL;
	}
	ring->completions = -1;
	ring->loop = loop;
	ret = set_up(ring);
	if (ret < 0)
		err_set(err, -ret, "io_uring");
	if (ret < 0 || loop_add(loop, ring->completions, EPOLLIN, completions_arrived, ring, err) < 0) {
		disk_ring_free(ring);
		return NULL;
	}
	return ring;
}

void disk_ring_free(struct disk_ring *ring)
{
	if (!ring)
		return;
	if (ring->completions >= 0) {
		loop_remove(ring->loop, ring->completions);
		close(ring->completions);
	}
	if (ring->is_open)
		io_uring_queue_exit(&ring->ring);
	free(ring);
}

void disk_ring_add_user(struct disk_ring *ring, struct disk_ring_user *user)
{
	user->next = ring->users;
	ring->users = user;
}

void disk_ring_remove_user(struct disk_ring *ring, struct disk_ring_user *user)
{
	struct disk_ring_user **at = &ring->users;

	while (*at != user)
		at = &(*at)->next;
	*at = user->next;
}

/* An entry that was taken is submitted, whatever is in it. */
static struct io_uring_sqe *take_entry(struct disk_ring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);

	if (!sqe && io_uring_submit(&ring->ring) > 0)
		sqe = io_uring_get_sqe(&ring->ring);
	return sqe;
}

bool disk_ring_transfer(struct disk_ring *ring, struct disk_request *request, int fd, const struct iovec *iov, size_t n,
			uint64_t offset, bool is_read)
{
	struct io_uring_sqe *sqe = take_entry(ring);

	if (!sqe)
		return false;
	if (is_read)
		io_uring_prep_readv(sqe, fd, iov, (unsigned int)n, offset);
	else
		io_uring_prep_writev(sqe, fd, iov, (unsigned int)n, offset);
	io_uring_sqe_set_data(sqe, request);
	return true;
}

bool disk_ring_flush(struct disk_ring *ring, struct disk_request *request, int fd)
{
	struct io_uring_sqe *sqe = take_entry(ring);

	if (!sqe)
		return false;
	io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
	io_uring_sqe_set_data(sqe, request);
	return true;
}

int disk_ring_submit(struct disk_ring *ring)
{
	while (io_uring_sq_ready(&ring->ring) > 0) {
		int ret = io_uring_submit(&ring->ring);

		if (ret <= 0 && ret != -EINTR)
			return ret ? ret : -EAGAIN;
	}
	return 0;
}

struct disk_request *disk_ring_take(struct disk_ring_user *user)
{
	struct disk_request *request = user->completed;

	if (request)
		user->completed = request->next;
	return request;
}

int disk_ring_wait(struct disk_ring *ring)
{
	struct io_uring_cqe *cqe;
	uint64_t one = 1;
	int ret;

	do
		ret = io_uring_wait_cqe(&ring->ring, &cqe);
	while (ret == -EINTR);
	/* Those of others are theirs to handle, from the loop. */
	if (ret == 0 && collect(ring) && write(ring->completions, &one, sizeof(one)) != sizeof(one))
		return -errno;
	return ret;
}
