/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-blk.
 *
 * Theory of operation. A kick parses all waiting requests into slots and submits them to io_uring together; completions
 * arrive on an eventfd in the I/O loop. A slot holds the request's own copy of the header and of the iovec; the data
 * moves between guest memory and the file without another copy. The number of slots is the queue's size, so a guest
 * cannot have more under way; the virtqueue refuses a head that is in flight already. A reset waits for completions.
 */
#include "vmm/virtio/blk.h"

#include <errno.h>
#include <liburing.h>
#include <linux/fs.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/log.h"

#define QUEUE_SIZE 128
#define SECTOR_SHIFT 9
#define SEGMENTS_MAX (QUEUE_SIZE - 2)

struct slot {
	bool busy;
	uint16_t head;
	uint8_t *status; /* guest memory: the request's last byte */
	uint64_t bytes;	 /* of data that are to move */
	bool is_read;
	struct iovec iov[VIRTQUEUE_SIZE_MAX];
};

struct blk {
	struct virtio_device device;
	struct virtio_blk_config config;
	struct loop *loop; /* borrowed */
	int fd;		   /* owned */
	bool read_only;
	uint64_t sectors;
	char id[VIRTIO_BLK_ID_BYTES];
	struct io_uring ring;
	bool ring_ready;
	int completions; /* eventfd, owned */
	unsigned int under_way;
	struct slot slots[QUEUE_SIZE];
};

static void finish(struct blk *blk, uint16_t head, uint8_t *status, uint8_t result, uint32_t written)
{
	*status = result;
	virtqueue_push(&blk->device.queues[0], head, written + 1);
}

static struct slot *free_slot(struct blk *blk)
{
	for (size_t i = 0; i < QUEUE_SIZE; i++)
		if (!blk->slots[i].busy)
			return &blk->slots[i];
	return NULL;
}

/* 5.2.6.1: a whole number of sectors within the device. */
static bool in_range(const struct blk *blk, uint64_t sector, uint64_t bytes)
{
	uint64_t count = bytes >> SECTOR_SHIFT;

	return bytes % (1 << SECTOR_SHIFT) == 0 && sector <= blk->sectors && count <= blk->sectors - sector;
}

/* Queues a read or write of the chain's data. */
static void submit_transfer(struct blk *blk, struct virtqueue_chain *chain, uint8_t *status, uint64_t sector, bool is_read)
{
	uint64_t bytes = is_read ? chain->writable_bytes - 1 : chain->readable_bytes - sizeof(struct virtio_blk_outhdr);
	bool allowed = in_range(blk, sector, bytes) && (is_read || !blk->read_only);
	struct slot *slot = allowed ? free_slot(blk) : NULL;
	/* Last: an entry that was taken is submitted, whatever is in it. */
	struct io_uring_sqe *sqe = slot ? io_uring_get_sqe(&blk->ring) : NULL;
	unsigned int n;

	if (!sqe) {
		finish(blk, chain->head, status, VIRTIO_BLK_S_IOERR, 0);
		return;
	}
	*slot = (struct slot){ .busy = true, .head = chain->head, .status = status, .bytes = bytes, .is_read = is_read };
	if (is_read)
		n = (unsigned int)iov_slice(chain->writable, chain->nwritable, 0, bytes, slot->iov);
	else
		n = (unsigned int)iov_slice(chain->readable, chain->nreadable, sizeof(struct virtio_blk_outhdr), bytes,
					    slot->iov);
	if (is_read)
		io_uring_prep_readv(sqe, blk->fd, slot->iov, n, sector << SECTOR_SHIFT);
	else
		io_uring_prep_writev(sqe, blk->fd, slot->iov, n, sector << SECTOR_SHIFT);
	io_uring_sqe_set_data(sqe, slot);
	blk->under_way++;
}

static void submit_flush(struct blk *blk, struct virtqueue_chain *chain, uint8_t *status)
{
	struct slot *slot = free_slot(blk);
	struct io_uring_sqe *sqe = slot ? io_uring_get_sqe(&blk->ring) : NULL;

	if (!sqe) {
		finish(blk, chain->head, status, VIRTIO_BLK_S_IOERR, 0);
		return;
	}
	*slot = (struct slot){ .busy = true, .head = chain->head, .status = status };
	/* DRAIN: writes that were submitted before are on the disk when this completes. */
	io_uring_prep_fsync(sqe, blk->fd, IORING_FSYNC_DATASYNC);
	io_uring_sqe_set_flags(sqe, IOSQE_IO_DRAIN);
	io_uring_sqe_set_data(sqe, slot);
	blk->under_way++;
}

static void get_id(struct blk *blk, struct virtqueue_chain *chain, uint8_t *status)
{
	size_t room = (size_t)(chain->writable_bytes - 1);
	size_t n = room < sizeof(blk->id) ? room : sizeof(blk->id);

	iov_write(chain->writable, chain->nwritable, 0, blk->id, n);
	finish(blk, chain->head, status, VIRTIO_BLK_S_OK, (uint32_t)n);
}

/* Returns false for a chain that has no header or no place for the status. */
static bool start_request(struct blk *blk, struct virtqueue_chain *chain)
{
	struct virtio_blk_outhdr header;
	struct iovec last;

	if (iov_read(chain->readable, chain->nreadable, 0, &header, sizeof(header)) != sizeof(header))
		return false;
	if (chain->writable_bytes < 1 ||
	    iov_slice(chain->writable, chain->nwritable, chain->writable_bytes - 1, 1, &last) != 1)
		return false;
	switch (header.type) {
	case VIRTIO_BLK_T_IN:
		submit_transfer(blk, chain, last.iov_base, header.sector, true);
		break;
	case VIRTIO_BLK_T_OUT:
		submit_transfer(blk, chain, last.iov_base, header.sector, false);
		break;
	case VIRTIO_BLK_T_FLUSH:
		submit_flush(blk, chain, last.iov_base);
		break;
	case VIRTIO_BLK_T_GET_ID:
		get_id(blk, chain, last.iov_base);
		break;
	default:
		finish(blk, chain->head, last.iov_base, VIRTIO_BLK_S_UNSUPP, 0);
	}
	return true;
}

static void blk_kick(struct virtio_device *device, unsigned int queue)
{
	struct blk *blk = (struct blk *)device;
	struct virtqueue *vq = &device->queues[queue];
	struct virtqueue_chain chain;
	int ret;

	do {
		while ((ret = virtqueue_pop(vq, &chain)) > 0)
			if (!start_request(blk, &chain)) {
				ret = -EBADMSG;
				break;
			}
		if (ret < 0) {
			virtio_device_needs_reset(device, "malformed request");
			break;
		}
	} while (virtqueue_enable_notify(vq));
	ret = io_uring_submit(&blk->ring);
	if (ret < 0)
		virtio_device_needs_reset(device, "io_uring does not take requests");
	virtio_device_notify_used(device, vq);
}

static void complete(struct blk *blk, const struct io_uring_cqe *cqe)
{
	struct slot *slot = io_uring_cqe_get_data(cqe);
	bool ok = cqe->res >= 0 && (uint64_t)cqe->res == slot->bytes;

	/* A short transfer is an error: the file ends before the size that the guest was told. */
	if (!ok)
		log_warn_limited("blk: request failed: %s", cqe->res < 0 ? strerror(-cqe->res) : "short transfer");
	slot->busy = false;
	blk->under_way--;
	if (blk->device.active)
		finish(blk, slot->head, slot->status, ok ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR,
		       ok && slot->is_read ? (uint32_t)slot->bytes : 0);
}

static void reap(struct blk *blk)
{
	struct io_uring_cqe *cqe;

	while (io_uring_peek_cqe(&blk->ring, &cqe) == 0) {
		complete(blk, cqe);
		io_uring_cqe_seen(&blk->ring, cqe);
	}
}

static void completed(void *ctx, uint32_t events)
{
	struct blk *blk = ctx;
	uint64_t count;

	(void)events;
	pthread_mutex_lock(&blk->device.lock);
	if (read(blk->completions, &count, sizeof(count)) == sizeof(count))
		reap(blk);
	if (blk->device.active)
		virtio_device_notify_used(&blk->device, &blk->device.queues[0]);
	pthread_mutex_unlock(&blk->device.lock);
}

/* Memory that io_uring still writes to must not be the guest's for something else: wait. */
static void blk_reset(struct virtio_device *device)
{
	struct blk *blk = (struct blk *)device;
	struct io_uring_cqe *cqe;

	while (blk->under_way > 0 && io_uring_wait_cqe(&blk->ring, &cqe) == 0)
		reap(blk);
}

static const struct virtio_device_ops blk_ops = {
	.name = "blk",
	.id = VIRTIO_ID_BLOCK,
	.nqueues = 1,
	.queue_size = QUEUE_SIZE,
	.reset = blk_reset,
	.kick = blk_kick,
};

static int image_size(int fd, uint64_t *ret_sectors)
{
	struct stat st;
	uint64_t bytes;

	if (fstat(fd, &st) < 0)
		return -errno;
	bytes = (uint64_t)st.st_size;
	if (S_ISBLK(st.st_mode) && ioctl(fd, BLKGETSIZE64, &bytes) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return -ENOTBLK;
	*ret_sectors = bytes >> SECTOR_SHIFT;
	return bytes ? 0 : -ENODATA;
}

static int set_up_ring(struct blk *blk)
{
	int ret = io_uring_queue_init(QUEUE_SIZE, &blk->ring, 0);

	if (ret < 0)
		return ret;
	blk->ring_ready = true;
	blk->completions = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (blk->completions < 0)
		return -errno;
	return io_uring_register_eventfd(&blk->ring, blk->completions);
}

struct virtio_device *blk_new(const struct memory *mem, struct loop *loop, int fd, bool read_only, const char *id,
			      struct err *err)
{
	uint64_t features = 1ULL << VIRTIO_BLK_F_FLUSH | 1ULL << VIRTIO_BLK_F_SEG_MAX;
	struct blk *blk = calloc(1, sizeof(*blk));
	int ret;

	if (!blk) {
		err_set(err, ENOMEM, "blk");
		return NULL;
	}
	blk->fd = blk->completions = -1;
	blk->loop = loop;
	blk->read_only = read_only;
	if (read_only)
		features |= 1ULL << VIRTIO_BLK_F_RO;
	if (virtio_device_init(&blk->device, &blk_ops, mem, features, &blk->config, sizeof(blk->config), err) < 0) {
		blk_free(&blk->device);
		return NULL;
	}
	ret = image_size(fd, &blk->sectors);
	if (ret == 0)
		ret = set_up_ring(blk);
	if (ret < 0) {
		err_set(err, -ret, "block device %s", id);
		blk_free(&blk->device);
		return NULL;
	}
	if (loop_add(loop, blk->completions, EPOLLIN, completed, blk, err) < 0) {
		blk_free(&blk->device);
		return NULL;
	}
	blk->config.capacity = blk->sectors;
	blk->config.seg_max = SEGMENTS_MAX;
	memcpy(blk->id, id, strnlen(id, sizeof(blk->id)));
	blk->fd = fd;
	return &blk->device;
}

void blk_free(struct virtio_device *device)
{
	struct blk *blk = (struct blk *)device;

	if (!blk)
		return;
	virtio_device_done(device);
	if (blk->completions >= 0) {
		loop_remove(blk->loop, blk->completions);
		close(blk->completions);
	}
	if (blk->ring_ready)
		io_uring_queue_exit(&blk->ring);
	if (blk->fd >= 0)
		close(blk->fd);
	free(blk);
}
