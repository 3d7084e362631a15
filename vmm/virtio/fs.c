/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-fs.
 *
 * Theory of operation. The workers that have nothing to do sleep in read(2) on the request queue's eventfd, which wakes
 * one of them for each notification. It takes a request; if there are more, it notifies the next worker before it serves
 * its own, so that a slow request never holds up the others, and a single one wakes one thread only. The high-priority
 * queue (FORGET, INTERRUPT) has a thread of its own. A request is copied out of guest memory once; the file server sees
 * only the copy.
 */
#include "vmm/virtio/fs.h"

#include <errno.h>
#include <linux/virtio_fs.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"

enum { QUEUE_HIPRIO, QUEUE_REQUEST, QUEUES };

struct worker {
	struct fs *fs; /* borrowed */
	unsigned int queue;
	pthread_t thread;
	bool started;
	uint8_t *buffer; /* borrowed, FS_REQUEST_MAX bytes: the copy of the request */
};

struct fs {
	struct virtio_device device;
	struct virtio_fs_config config;
	struct fs_server *server; /* borrowed */
	struct worker workers[FS_WORKERS_MAX + 1];
	uint8_t *buffers; /* owned, one for each worker */
	unsigned int nworkers; /* on the request queue; workers[0] is the high-priority queue's */
	int (*confine)(void *ctx);
	void *confine_ctx;
	bool quit; /* atomic */
	bool server_reset_due; /* under the device's lock: the next worker resets the server, on its own thread */
};

/* One chain to the file server. Returns the number of bytes written for the guest. */
static uint32_t serve(struct worker *worker, struct virtqueue_chain *chain)
{
	struct fs_request request = {
		.data = worker->buffer,
		.reply = chain->writable,
		.nreply = chain->nwritable,
	};

	if (chain->readable_bytes > FS_REQUEST_MAX) {
		log_warn_limited("fs: request of %llu bytes, dropped", (unsigned long long)chain->readable_bytes);
		return 0;
	}
	request.len = iov_read(chain->readable, chain->nreadable, 0, worker->buffer, FS_REQUEST_MAX);
	fs_server_handle(worker->fs->server, &request);
	return request.written;
}

/* Takes the next chain under the lock. Returns 1, 0 or -errno as virtqueue_pop. *ret_more: others wait behind it. */
static int take(struct fs *fs, unsigned int queue, struct virtqueue_chain *chain, bool *ret_more)
{
	struct virtqueue *vq = &fs->device.queues[queue];
	int ret;

	*ret_more = false;
	pthread_mutex_lock(&fs->device.lock);
	if (!fs->device.active) {
		pthread_mutex_unlock(&fs->device.lock);
		return 0;
	}
	if (fs->server_reset_due) {
		fs->server_reset_due = false;
		fs_server_reset(fs->server);
	}
	ret = virtqueue_pop(vq, chain);
	if (ret == 0 && virtqueue_enable_notify(vq))
		ret = virtqueue_pop(vq, chain);
	if (ret < 0)
		virtio_device_needs_reset(&fs->device, "malformed request chain");
	if (ret > 0)
		fs->device.in_flight++;
	/* This request may take long: the guest has to notify the next worker of whatever comes meanwhile. */
	*ret_more = ret > 0 && virtqueue_enable_notify(vq);
	pthread_mutex_unlock(&fs->device.lock);
	return ret;
}

static void give_back(struct fs *fs, unsigned int queue, const struct virtqueue_chain *chain, uint32_t written)
{
	struct virtqueue *vq = &fs->device.queues[queue];

	pthread_mutex_lock(&fs->device.lock);
	if (fs->device.active) {
		virtqueue_push(vq, chain->head, written);
		virtio_device_notify_used(&fs->device, vq);
	}
	if (--fs->device.in_flight == 0)
		pthread_cond_broadcast(&fs->device.idle);
	pthread_mutex_unlock(&fs->device.lock);
}

/* As if the guest had notified once more. */
static void wake_one(struct fs *fs, unsigned int queue)
{
	uint64_t one = 1;

	if (write(fs->device.kicks[queue], &one, sizeof(one)) != sizeof(one))
		log_warn_limited("fs: cannot wake a worker");
}

static void *worker_main(void *arg)
{
	struct worker *worker = arg;
	struct fs *fs = worker->fs;
	struct virtqueue_chain chain;
	int ret = fs->confine ? fs->confine(fs->confine_ctx) : 0;

	if (ret < 0) {
		log_error("fs: a worker cannot be confined: %s", strerror(-ret));
		return NULL;
	}
	for (;;) {
		uint64_t count;
		bool more;

		if (read(fs->device.kicks[worker->queue], &count, sizeof(count)) < 0 && errno != EINTR)
			log_warn_limited("fs: wait for requests: %s", strerror(errno));
		if (__atomic_load_n(&fs->quit, __ATOMIC_SEQ_CST)) {
			wake_one(fs, worker->queue); /* each the next one */
			return NULL;
		}
		while (take(fs, worker->queue, &chain, &more) > 0) {
			if (more && worker->queue == QUEUE_REQUEST)
				wake_one(fs, worker->queue);
			give_back(fs, worker->queue, &chain, serve(worker, &chain));
		}
	}
}

static void fs_reset(struct virtio_device *device)
{
	((struct fs *)device)->server_reset_due = true;
}

static const struct virtio_device_ops fs_ops = {
	.name = "fs",
	.id = VIRTIO_ID_FS,
	.nqueues = QUEUES,
	.queue_size = VIRTQUEUE_SIZE_MAX,
	.own_workers = true,
	.reset = fs_reset,
};

struct virtio_device *fs_new(const struct memory *mem, struct fs_server *server, const char *tag, unsigned int workers,
			     struct err *err)
{
	struct fs *fs = calloc(1, sizeof(*fs));

	if (!fs) {
		err_set(err, ENOMEM, "fs");
		return NULL;
	}
	fs->server = server;
	fs->nworkers = workers < 1 ? 1 : workers > FS_WORKERS_MAX ? FS_WORKERS_MAX : workers;
	fs->config.num_request_queues = 1;
	if (virtio_device_init(&fs->device, &fs_ops, mem, 0, &fs->config, sizeof(fs->config), err) < 0) {
		fs_free(&fs->device);
		return NULL;
	}
	if (strlen(tag) > sizeof(fs->config.tag) || !*tag) {
		err_set(err, EINVAL, "fs tag '%s' (1 to %zu bytes)", tag, sizeof(fs->config.tag));
		fs_free(&fs->device);
		return NULL;
	}
	memcpy(fs->config.tag, tag, strlen(tag));
	return &fs->device;
}

int fs_start(struct virtio_device *device, int (*confine)(void *ctx), void *ctx, struct err *err)
{
	struct fs *fs = (struct fs *)device;
	pthread_attr_t attr;
	int ret = 0;

	fs->confine = confine;
	fs->confine_ctx = ctx;
	/* One allocation: each is too large for the heap, and would take a mapping of its own. */
	fs->buffers = malloc((fs->nworkers + 1) * FS_REQUEST_MAX);
	if (!fs->buffers)
		return err_set(err, ENOMEM, "start the file server's threads");
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 256 << 10);
	for (unsigned int i = 0; i <= fs->nworkers && ret == 0; i++) {
		struct worker *worker = &fs->workers[i];

		worker->fs = fs;
		worker->queue = i == 0 ? QUEUE_HIPRIO : QUEUE_REQUEST;
		worker->buffer = fs->buffers + i * FS_REQUEST_MAX;
		ret = pthread_create(&worker->thread, &attr, worker_main, worker);
		worker->started = ret == 0;
	}
	pthread_attr_destroy(&attr);
	return ret ? err_set(err, ret, "start the file server's threads") : 0;
}

void fs_free(struct virtio_device *device)
{
	struct fs *fs = (struct fs *)device;

	if (!fs)
		return;
	__atomic_store_n(&fs->quit, true, __ATOMIC_SEQ_CST);
	for (unsigned int i = 0; i < QUEUES; i++)
		if (fs->device.kicks[i] >= 0)
			wake_one(fs, i);
	for (unsigned int i = 0; i <= FS_WORKERS_MAX; i++)
		if (fs->workers[i].started)
			pthread_join(fs->workers[i].thread, NULL);
	free(fs->buffers);
	virtio_device_done(device);
	free(fs);
}
