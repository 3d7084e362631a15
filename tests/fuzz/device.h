/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fuzz targets of virtio devices share: the input is a program for a hostile driver. It writes and reads
 * registers, scribbles in guest memory, offers chains that are well formed or not, kicks, resets, and lets the host's
 * side do something. One thread plays all parts.
 */
#ifndef TESTS_FUZZ_DEVICE_H
#define TESTS_FUZZ_DEVICE_H

#include <linux/virtio_mmio.h>

#include "lib/cleanup.h"
#include "lib/log.h"
#include "tests/unit/vmm/driver.h"
#include "vmm/virtio/mmio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *at;
	size_t left;
};

/* Zeros when the input is at its end. */
static inline uint32_t input_take(struct input *input, unsigned int bytes)
{
	uint32_t value = 0;

	while (bytes-- > 0) {
		value = value << 8 | (input->left ? *input->at : 0);
		if (input->left) {
			input->at++;
			input->left--;
		}
	}
	return value;
}

/* As the I/O thread serves a driver's reset. */
static inline void device_fuzz_reset(struct driver *driver)
{
	driver->device->reset_wanted = true;
	virtio_device_serve_reset(driver->device);
}

static inline void device_fuzz_register(struct driver *driver, struct input *input, bool is_write)
{
	static const uint8_t lengths[] = { 4, 4, 4, 4, 1, 2, 8, 4 };
	uint64_t offset = input_take(input, 1) * 4 + (input_take(input, 1) & 0x103);
	unsigned int len = lengths[input_take(input, 1) % sizeof(lengths)];
	uint64_t value = (uint64_t)input_take(input, 4) << 32 | input_take(input, 4);

	if (is_write && offset == VIRTIO_MMIO_STATUS && (uint32_t)value == 0)
		device_fuzz_reset(driver); /* the real one waits for another thread */
	else
		virtio_mmio_access(driver->device, offset, &value, len, is_write);
}

/* Some writes of registers in a list, or anything as one. */
static inline void device_fuzz_list(struct driver *driver, struct input *input)
{
	uint64_t addr = DRIVER_DATA + 0x80000;
	struct virtio_mmio_list *list = memory_at(driver->mem, addr, sizeof(*list));
	uint32_t kind = input_take(input, 1);

	list->n = kind & 0x80 ? input_take(input, 4) : kind % 8 + 1;
	for (uint32_t i = 0; i < kind % 8 + 1; i++) {
		list->writes[i].offset = input_take(input, 1) * (kind & 0x40 ? 1 : 4);
		list->writes[i].value = kind & 0x20 ? input_take(input, 4) : input_take(input, 1);
	}
	if (kind & 0x10)
		addr = (uint64_t)input_take(input, 4) << 32 | input_take(input, 4);
	virtio_mmio_access(driver->device, VIRTIO_MMIO_CELLA_LIST, &addr, 8, true);
}

static inline void device_fuzz_scribble(struct driver *driver, struct input *input)
{
	uint64_t addr = DRIVER_DESC(0) + input_take(input, 2);
	uint32_t len = input_take(input, 1) % 64;
	uint8_t *at = memory_at(driver->mem, addr, 64);

	for (uint32_t i = 0; at && i < len; i++)
		at[i] = (uint8_t)input_take(input, 1);
}

/* A chain of up to 4 buffers in the data area (or anywhere), with 64 bytes of content for the first. */
static inline void device_fuzz_offer(struct driver *driver, struct input *input)
{
	unsigned int queue = input_take(input, 1) % driver->device->ops->nqueues;
	unsigned int n = input_take(input, 1) % 4 + 1, first = input_take(input, 1) % (DRIVER_QUEUE_SIZE - 4);
	struct driver_buffer buffers[4];
	uint8_t *content = driver_data(driver, 0, 64);

	for (unsigned int i = 0; i < n; i++) {
		uint32_t kind = input_take(input, 1);

		buffers[i].addr = kind & 0x80 ? (uint64_t)input_take(input, 4) << 8 : DRIVER_DATA + i * 0x10000;
		buffers[i].len = kind & 0x40 ? input_take(input, 4) : input_take(input, 2);
		buffers[i].flags = kind & 1 ? VRING_DESC_F_WRITE : 0;
	}
	for (unsigned int i = input_take(input, 1) % 64; i > 0; i--)
		*content++ = (uint8_t)input_take(input, 1);
	driver_offer(driver, queue, first, buffers, n);
}

/* One input. kick delivers a notification (NULL: as the I/O loop does); host plays the other side (NULL: nothing). */
static inline void device_fuzz(struct driver *driver, const uint8_t *data, size_t size,
			       void (*kick)(struct driver *driver, unsigned int queue),
			       void (*host)(struct driver *driver, struct input *input))
{
	struct input input = { data, size };
	unsigned int nqueues = driver->device->ops->nqueues;

	device_fuzz_reset(driver);
	driver_start(driver);
	while (input.left > 0) {
		unsigned int queue;

		switch (input_take(&input, 1) % 9) {
		case 0:
			device_fuzz_register(driver, &input, true);
			break;
		case 1:
			device_fuzz_register(driver, &input, false);
			break;
		case 2:
			device_fuzz_scribble(driver, &input);
			break;
		case 3:
		case 4:
			device_fuzz_offer(driver, &input);
			break;
		case 5:
			queue = input_take(&input, 1) % nqueues;
			if (!driver->device->active)
				break;
			if (kick)
				kick(driver, queue);
			else
				driver_kick(driver, queue);
			break;
		case 6:
			if (host)
				host(driver, &input);
			driver_step(driver);
			break;
		case 7:
			device_fuzz_reset(driver);
			driver_start(driver);
			break;
		case 8:
			device_fuzz_list(driver, &input);
			break;
		}
	}
	driver_step(driver);
}

/* The log of a device that is fuzzed says nothing new. */
static inline void device_fuzz_quiet(void)
{
	log_init_fd("fuzz", 2, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
}

#endif
