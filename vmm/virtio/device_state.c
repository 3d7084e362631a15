/* SPDX-License-Identifier: Apache-2.0 */
/* Saving and restoring what all virtio devices share. */
#include "vmm/virtio/device_state.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <string.h>

#include "vmm/virtio/mmio.h"

static bool has_in_flight(const struct virtqueue *vq)
{
	for (unsigned int i = 0; i < VIRTQUEUE_SIZE_MAX / 64; i++)
		if (vq->in_flight[i])
			return true;
	return false;
}

static int save(struct virtio_device *device, struct virtio_device_state *state, struct err *err)
{
	if (device->in_flight || device->config_size > VIRTIO_CONFIG_SIZE_MAX)
		return err_msg(err, EBUSY, "%s: a request is being served", device->ops->name);
	*state = (struct virtio_device_state){
		.id = device->ops->id,
		.status = device->status,
		.driver_features = device->driver_features,
		.feature_select = device->feature_select,
		.driver_feature_select = device->driver_feature_select,
		.queue_select = device->queue_select,
		.interrupt_status = __atomic_load_n(virtio_mmio_interrupt_status(device), __ATOMIC_SEQ_CST),
		.config_generation = device->config_generation,
		.config_size = device->config_size,
	};
	if (device->config_size)
		memcpy(state->config, device->config, device->config_size);
	for (unsigned int i = 0; i < device->ops->nqueues; i++) {
		const struct virtqueue *vq = &device->queues[i];

		if (has_in_flight(vq))
			return err_msg(err, EBUSY, "%s: a request is being served", device->ops->name);
		state->queues[i] = (struct virtio_queue_state){
			.desc = vq->desc,
			.avail = vq->avail,
			.used = vq->used,
			.size = vq->size,
			.next_avail = vq->next_avail,
			.next_used = vq->next_used,
			.signalled_used = vq->signalled_used,
			.enabled = vq->enabled,
			.event_idx = vq->event_idx,
			.signalled_valid = vq->signalled_valid,
		};
	}
	return 0;
}

int virtio_device_save(struct virtio_device *device, struct virtio_device_state *state, struct err *err)
{
	int ret;

	pthread_mutex_lock(&device->lock);
	ret = save(device, state, err);
	pthread_mutex_unlock(&device->lock);
	return ret;
}

static int restore_queue(struct virtqueue *vq, const struct virtio_queue_state *state)
{
	vq->size = state->size;
	vq->desc = state->desc;
	vq->avail = state->avail;
	vq->used = state->used;
	vq->event_idx = state->event_idx;
	if (!state->enabled)
		return 0;
	if (virtqueue_enable(vq) < 0)
		return -EINVAL;
	vq->next_avail = state->next_avail;
	vq->next_used = state->next_used;
	vq->signalled_used = state->signalled_used;
	vq->signalled_valid = state->signalled_valid;
	return 0;
}

static int restore(struct virtio_device *device, const struct virtio_device_state *state, struct err *err)
{
	if (state->id != device->ops->id || state->config_size != device->config_size ||
	    state->driver_features & ~device->features)
		return err_msg(err, EINVAL, "the snapshot has device %u where this VM has %s", state->id, device->ops->name);
	device->driver_features = state->driver_features;
	device->feature_select = state->feature_select;
	device->driver_feature_select = state->driver_feature_select;
	device->queue_select = state->queue_select;
	device->config_generation = state->config_generation;
	if (device->config_size)
		memcpy(device->config, state->config, device->config_size);
	for (unsigned int i = 0; i < device->ops->nqueues; i++)
		if (restore_queue(&device->queues[i], &state->queues[i]) < 0)
			return err_msg(err, EINVAL, "%s: queue %u of the snapshot is not one", device->ops->name, i);
	device->status = state->status;
	__atomic_store_n(virtio_mmio_interrupt_status(device), state->interrupt_status, __ATOMIC_SEQ_CST);
	if (device->status & VIRTIO_CONFIG_S_DRIVER_OK)
		virtio_mmio_activate(device);
	virtio_mmio_update(device);
	/* An interrupt that was raised may not have reached the vCPU's state yet; one too many does no harm. */
	if (state->interrupt_status)
		virtio_device_interrupt_again(device);
	return 0;
}

int virtio_device_restore(struct virtio_device *device, const struct virtio_device_state *state, struct err *err)
{
	int ret;

	pthread_mutex_lock(&device->lock);
	ret = restore(device, state, err);
	pthread_mutex_unlock(&device->lock);
	return ret;
}
