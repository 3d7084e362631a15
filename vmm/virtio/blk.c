/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-blk.
 *
 * Theory of operation. A kick parses all waiting requests into slots and submits them to io_uring together; completions
 * arrive in the I/O loop (disk_ring.h). A slot holds the request's own copy of the header and of the iovec; the data
 * moves between guest memory and the file without another copy. The number of slots is the queue's size, so a guest
 * cannot have more under way; the virtqueue refuses a head that is in flight already. A reset waits for completions.
 */
#include "vmm/virtio/blk.h"

#include <errno.h>
#include <linux/fs.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/log.h"
#include "vmm/virtio/disk_ring.h"

#define QUEUE_SIZE DISK_RING_REQUESTS
#define SECTOR_SHIFT 9
#define SEGMENTS_MAX (QUEUE_SIZE - 2)

struct slot {
	struct disk_request request; /* first: what comes back of it is the slot */
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
	struct disk_ring *ring; /* borrowed */
	struct disk_ring_user user;
	int fd; /* owned */
	bool read_only;
	uint64_t sectors;
	char id[VIRTIO_BLK_ID_BYTES];
	unsigned int under_way;
	struct slot slots[QUEUE_SIZE];
};

static void finish(struct blk *blk, uint16_t head, uint8_t *status, uint8_t result, uint32_t written)
{
	*status = result;
	virtqueue_push(&blk->device.queues[0], head, written + 1);
}

/* 5.2.6.1: a whole number of sectors within the device. */
static bool in_range(const struct blk *blk, uint64_t sector, uint64_t bytes)
{
	uint64_t count = bytes >> SECTOR_SHIFT;

	return bytes % (1 << SECTOR_SHIFT) == 0 && sector <= blk->sectors && count <= blk->sectors - sector;
}

/* A slot for a request with this much data, and no more of it yet. NULL: none is free. */
static struct slot *take_slot(struct blk *blk, const struct virtqueue_chain *chain, uint8_t *status, uint64_t bytes)
{
	for (size_t i = 0; i < QUEUE_SIZE; i++) {
		struct slot *slot = &blk->slots[i];

		if (slot->busy)
			continue;
		slot->request.user = &blk->user;
		slot->busy = true;
		slot->head = chain->head;
		slot->status = status;
		slot->bytes = bytes;
		slot->is_read = false;
		return slot;
	}
	return NULL;
}

/* The ring has the slot's request, or not. */
static void started(struct blk *blk, struct slot *slot, bool ok)
{
	if (ok) {
		blk->under_way++;
		return;
	}
	slot->busy = false;
	finish(blk, slot->head, slot->status, VIRTIO_BLK_S_IOERR, 0);
}

/* Queues a read or write of the chain's data. */
static void submit_transfer(struct blk *blk, struct virtqueue_chain *chain, uint8_t *status, uint64_t sector, bool is_read)
{
	uint64_t bytes = is_read ? chain->writable_bytes - 1 : chain->readable_bytes - sizeof(struct virtio_blk_outhdr);
	bool allowed = in_range(blk, sector, bytes) && (is_read || !blk->read_only);
	struct slot *slot = allowed ? take_slot(blk, chain, status, bytes) : NULL;
	size_t n;

	if (!slot) {
		finish(blk, chain->head, status, VIRTIO_BLK_S_IOERR, 0);
		return;
	}
	slot->is_read = is_read;
	if (is_read)
		n = iov_slice(chain->writable, chain->nwritable, 0, bytes, slot->iov);
	else
		n = iov_slice(chain->readable, chain->nreadable, sizeof(struct virtio_blk_outhdr), bytes, slot->iov);
	started(blk, slot, disk_ring_transfer(blk->ring, &slot->request, blk->fd, slot->iov, n, sector << SECTOR_SHIFT, is_read));
}

/* 5.2.6: what was completed before is to be on the disk afterwards; nothing has to wait for requests that are under way. */
static void submit_flush(struct blk *blk, struct virtqueue_chain *chain, uint8_t *status)
{
	struct slot *slot = take_slot(blk, chain, status, 0);

	if (slot)
		started(blk, slot, disk_ring_flush(blk->ring, &slot->request, blk->fd));
	else
		finish(blk, chain->head, status, VIRTIO_BLK_S_IOERR, 0);
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
	if (disk_ring_submit(blk->ring) < 0)
		virtio_device_needs_reset(device, "io_uring does not take requests");
	virtio_device_notify_used(device, vq);
}

static void complete(struct blk *blk, struct slot *slot)
{
	int result = slot->request.result;
	bool ok = result >= 0 && (uint64_t)result == slot->bytes;

	/* A short transfer is an error: the file ends before the size that the guest was told. */
	if (!ok)
		log_warn_limited("blk: request failed: %s", result < 0 ? strerror(-result) : "short transfer");
	slot->busy = false;
	blk->under_way--;
	if (blk->device.active)
		finish(blk, slot->head, slot->status, ok ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR,
		       ok && slot->is_read ? (uint32_t)slot->bytes : 0);
}

static void reap(struct blk *blk)
{
	struct disk_request *request;

	while ((request = disk_ring_take(&blk->user)))
		complete(blk, (struct slot *)request);
}

static void requests_completed(struct disk_ring_user *user)
{
	struct blk *blk = (struct blk *)((char *)user - offsetof(struct blk, user));

	pthread_mutex_lock(&blk->device.lock);
	reap(blk);
	if (blk->device.active)
		virtio_device_notify_used(&blk->device, &blk->device.queues[0]);
	pthread_mutex_unlock(&blk->device.lock);
}

/* Memory that io_uring still writes to must not be the guest's for something else: wait. */
static void blk_reset(struct virtio_device *device)
{
	struct blk *blk = (struct blk *)device;

	reap(blk);
	while (blk->under_way > 0 && disk_ring_wait(blk->ring) == 0)
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

struct virtio_device *blk_new(const struct memory *mem, struct disk_ring *ring, int fd, bool read_only, const char *id,
			      struct err *err)
{
	uint64_t features = 1ULL << VIRTIO_BLK_F_FLUSH | 1ULL << VIRTIO_BLK_F_SEG_MAX;
	struct blk *blk = calloc(1, sizeof(*blk));
	int ret;

	if (!blk) {
		err_set(err, ENOMEM, "blk");
		return NULL;
	}
	blk->fd = -1;
	blk->ring = ring;
	blk->user.ready = requests_completed;
	disk_ring_add_user(ring, &blk->user);
	blk->read_only = read_only;
	if (read_only)
		features |= 1ULL << VIRTIO_BLK_F_RO;
	if (virtio_device_init(&blk->device, &blk_ops, mem, features, &blk->config, sizeof(blk->config), err) < 0) {
		blk_free(&blk->device);
		return NULL;
	}
	ret = image_size(fd, &blk->sectors);
	if (ret < 0) {
		err_set(err, -ret, "block device %s", id);
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
	/* The slots are the kernel's while their requests are under way. */
	device->active = false;
	blk_reset(device);
	disk_ring_remove_user(blk->ring, &blk->user);
	virtio_device_done(device);
	if (blk->fd >= 0)
		close(blk->fd);
	free(blk);
}
