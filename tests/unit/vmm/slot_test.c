/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/virtio/slot.h"

#include <linux/virtio_ids.h>
#include <linux/virtio_mmio.h>

#include "tests/unit/test.h"
#include "tests/unit/vmm/guest.h"
#include "vmm/virtio/mmio.h"
#include "vmm/virtio/rng.h"

static uint8_t page[VIRTIO_MMIO_WINDOW] __attribute__((aligned(8)));

static uint32_t get(struct virtio_slot *slot, uint64_t offset)
{
	uint32_t value = 0;

	virtio_slot_access(slot, offset, &value, 4, false);
	return value;
}

static void test_an_empty_slot_is_a_window_without_a_device(void **state)
{
	struct virtio_slot slot;
	uint32_t ones = UINT32_MAX;

	(void)state;
	virtio_slot_init(&slot, page);
	assert_int_equal(get(&slot, VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	assert_int_equal(get(&slot, VIRTIO_MMIO_VERSION), 2);
	for (uint64_t offset = VIRTIO_MMIO_DEVICE_ID; offset < 0x200; offset += 4) {
		virtio_slot_access(&slot, offset, &ones, 4, true);
		assert_int_equal(get(&slot, offset), 0);
	}
}

static void test_a_device_comes_and_goes(void **state)
{
	struct err err;
	struct memory *mem = memory_new(GUEST_MEMORY, 0, &err);
	struct virtio_device *device = rng_new(mem, &err);
	struct virtio_slot slot;

	(void)state;
	virtio_slot_init(&slot, page);
	assert_true(virtio_slot_try_set(&slot, device));
	assert_int_equal(get(&slot, VIRTIO_MMIO_DEVICE_ID), VIRTIO_ID_RNG);
	/* While a vCPU is in it, it stays. */
	pthread_mutex_lock(&slot.lock);
	assert_false(virtio_slot_try_set(&slot, NULL));
	pthread_mutex_unlock(&slot.lock);
	assert_true(virtio_slot_try_set(&slot, NULL));
	assert_int_equal(get(&slot, VIRTIO_MMIO_DEVICE_ID), 0);
	rng_free(device);
	memory_free(mem);
}

TESTS(cmocka_unit_test(test_an_empty_slot_is_a_window_without_a_device), cmocka_unit_test(test_a_device_comes_and_goes))
