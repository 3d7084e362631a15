/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-mem. */
#include "vmm/virtio/mem.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_mem.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/virtio/mmio.h"

#define REQUESTS_PER_KICK 64

struct mem {
	struct virtio_device device;
	struct virtio_mem_config config;
	uint64_t *plugged; /* a bit for each block of the growth range */
};

static bool is_plugged(const struct mem *mem, uint64_t block)
{
	return mem->plugged[block / 64] >> block % 64 & 1;
}

static void set_plugged(struct mem *mem, uint64_t first, uint64_t n, bool plugged)
{
	for (uint64_t block = first; block < first + n; block++) {
		uint64_t bit = 1ULL << block % 64;

		mem->plugged[block / 64] = plugged ? mem->plugged[block / 64] | bit : mem->plugged[block / 64] & ~bit;
	}
}

/* How many of n blocks are plugged. */
static uint64_t count_plugged(const struct mem *mem, uint64_t first, uint64_t n)
{
	uint64_t count = 0;

	for (uint64_t block = first; block < first + n; block++)
		count += is_plugged(mem, block);
	return count;
}

/* A request's range as blocks, or false: 5.15.6.2 and on want it aligned, not empty and usable. */
static bool find_blocks(const struct mem *mem, uint64_t address, uint16_t n, uint64_t *ret_first)
{
	uint64_t usable = mem->config.usable_region_size / MEM_BLOCK;

	if (n == 0 || address < mem->config.addr || (address - mem->config.addr) % MEM_BLOCK)
		return false;
	*ret_first = (address - mem->config.addr) / MEM_BLOCK;
	return *ret_first < usable && n <= usable - *ret_first;
}

static uint16_t plug(struct mem *mem, uint64_t first, uint16_t n)
{
	uint64_t size = n * MEM_BLOCK;

	if (count_plugged(mem, first, n))
		return VIRTIO_MEM_RESP_ERROR;
	/* 5.15.6.2: never more than was asked for. */
	if (mem->config.plugged_size > mem->config.requested_size || size > mem->config.requested_size - mem->config.plugged_size)
		return VIRTIO_MEM_RESP_NACK;
	set_plugged(mem, first, n, true);
	mem->config.plugged_size += size;
	return VIRTIO_MEM_RESP_ACK;
}

static uint16_t unplug(struct mem *mem, uint64_t first, uint16_t n)
{
	gpa_t address = mem->config.addr + first * MEM_BLOCK;

	if (count_plugged(mem, first, n) != n)
		return VIRTIO_MEM_RESP_ERROR;
	if (memory_discard(mem->device.mem, address, n * MEM_BLOCK) < 0)
		return VIRTIO_MEM_RESP_BUSY;
	set_plugged(mem, first, n, false);
	mem->config.plugged_size -= n * MEM_BLOCK;
	return VIRTIO_MEM_RESP_ACK;
}

static uint16_t unplug_all(struct mem *mem)
{
	uint64_t size = mem->config.usable_region_size;

	if (size && memory_discard(mem->device.mem, mem->config.addr, size) < 0)
		return VIRTIO_MEM_RESP_BUSY;
	set_plugged(mem, 0, size / MEM_BLOCK, false);
	mem->config.plugged_size = 0;
	return VIRTIO_MEM_RESP_ACK;
}

static uint16_t state_of(const struct mem *mem, uint64_t first, uint16_t n)
{
	uint64_t count = count_plugged(mem, first, n);

	return count == n ? VIRTIO_MEM_STATE_PLUGGED : count == 0 ? VIRTIO_MEM_STATE_UNPLUGGED : VIRTIO_MEM_STATE_MIXED;
}

/* The ranges of all requests have the same layout (5.15.6). */
static void answer(struct mem *mem, const struct virtio_mem_req *request, struct virtio_mem_resp *response)
{
	uint16_t n = request->u.plug.nb_blocks;
	uint64_t first = 0;

	response->type = VIRTIO_MEM_RESP_ERROR;
	if (request->type == VIRTIO_MEM_REQ_UNPLUG_ALL) {
		response->type = unplug_all(mem);
		return;
	}
	if (!find_blocks(mem, request->u.plug.addr, n, &first))
		return;
	switch (request->type) {
	case VIRTIO_MEM_REQ_PLUG:
		response->type = plug(mem, first, n);
		break;
	case VIRTIO_MEM_REQ_UNPLUG:
		response->type = unplug(mem, first, n);
		break;
	case VIRTIO_MEM_REQ_STATE:
		response->type = VIRTIO_MEM_RESP_ACK;
		response->u.state.state = state_of(mem, first, n);
		break;
	}
}

/* False when there is no whole request, or no room for a response. */
static bool serve(struct mem *mem, struct virtqueue *vq, const struct virtqueue_chain *chain)
{
	struct virtio_mem_req request;
	struct virtio_mem_resp response = { 0 };

	if (iov_read(chain->readable, chain->nreadable, 0, &request, sizeof(request)) != sizeof(request) ||
	    chain->writable_bytes < sizeof(response))
		return false;
	answer(mem, &request, &response);
	virtio_mmio_update(&mem->device); /* plugged_size: the driver knows, and may look (5.15.4) */
	virtqueue_push(vq, chain->head,
		       (uint32_t)iov_write(chain->writable, chain->nwritable, 0, &response, sizeof(response)));
	return true;
}

static void mem_kick(struct virtio_device *device, unsigned int queue)
{
	struct virtqueue *vq = &device->queues[queue];
	struct virtqueue_chain chain;
	unsigned int budget = REQUESTS_PER_KICK;
	uint64_t one = 1;

	do {
		int ret = 0;

		while (budget > 0 && (ret = virtqueue_pop(vq, &chain)) > 0) {
			if (!serve((struct mem *)device, vq, &chain)) {
				ret = -EBADMSG;
				break;
			}
			budget--;
		}
		if (ret < 0) {
			virtio_device_needs_reset(device, "malformed request");
			return;
		}
	} while (budget > 0 && virtqueue_enable_notify(vq));
	virtio_device_notify_used(device, vq);
	if (budget == 0 && write(device->kicks[queue], &one, sizeof(one)) != sizeof(one))
		virtio_device_needs_reset(device, "cannot wake a queue");
}

/* 5.15.5: a reset does not unplug; a driver that starts anew asks for that itself. */
static void mem_reset(struct virtio_device *device)
{
	(void)device;
}

static const struct virtio_device_ops mem_ops = {
	.name = "mem",
	.id = VIRTIO_ID_MEM,
	.nqueues = 1,
	.queue_size = 16,
	.reset = mem_reset,
	.kick = mem_kick,
};

struct virtio_device *mem_new(const struct memory *memory, struct err *err)
{
	struct mem *mem = calloc(1, sizeof(*mem));
	uint64_t features = 1ULL << VIRTIO_MEM_F_UNPLUGGED_INACCESSIBLE;

	if (mem)
		mem->plugged = calloc(memory->growth_max / MEM_BLOCK / 64 + 1, sizeof(*mem->plugged));
	if (!mem || !mem->plugged) {
		free(mem);
		err_set(err, ENOMEM, "virtio-mem");
		return NULL;
	}
	mem->config.block_size = MEM_BLOCK;
	mem->config.addr = memory->growth.gpa;
	mem->config.region_size = memory->growth_max;
	if (virtio_device_init(&mem->device, &mem_ops, memory, features, &mem->config, sizeof(mem->config), err) < 0) {
		mem_free(&mem->device);
		return NULL;
	}
	return &mem->device;
}

void mem_free(struct virtio_device *device)
{
	if (!device)
		return;
	virtio_device_done(device);
	free(((struct mem *)device)->plugged);
	free(device);
}

void mem_request(struct virtio_device *device, uint64_t bytes, uint64_t usable)
{
	struct mem *mem = (struct mem *)device;

	pthread_mutex_lock(&device->lock);
	mem->config.requested_size = bytes - bytes % MEM_BLOCK;
	mem->config.usable_region_size = usable;
	virtio_device_config_changed(device);
	pthread_mutex_unlock(&device->lock);
}

uint64_t mem_plugged(struct virtio_device *device)
{
	uint64_t bytes;

	pthread_mutex_lock(&device->lock);
	bytes = ((struct mem *)device)->config.plugged_size;
	pthread_mutex_unlock(&device->lock);
	return bytes;
}
