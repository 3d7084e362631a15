/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/virtio/mmio.h"

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>

#include "tests/unit/test.h"
#include "tests/unit/vmm/guest.h"
#include "vmm/virtio/rng.h"

static struct memory *mem;
static struct virtio_device *device;
static uint8_t page[VIRTIO_MMIO_WINDOW] __attribute__((aligned(8)));

static int set_up(void **state)
{
	struct err err;

	(void)state;
	mem = memory_new(GUEST_MEMORY, 0, &err);
	device = rng_new(mem, &err);
	if (!mem || !device)
		return -1;
	virtio_mmio_show(device, page);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	rng_free(device);
	memory_free(mem);
	return 0;
}

static uint32_t get(uint64_t offset)
{
	uint32_t value = 0;

	virtio_mmio_access(device, offset, &value, 4, false);
	return value;
}

static void put(uint64_t offset, uint32_t value)
{
	virtio_mmio_access(device, offset, &value, 4, true);
}

static void negotiate(void)
{
	put(VIRTIO_MMIO_STATUS, 0);
	put(VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	put(VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	put(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	put(VIRTIO_MMIO_DRIVER_FEATURES, 1);
	put(VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK);
}

static void set_queue(uint32_t size, uint32_t desc)
{
	put(VIRTIO_MMIO_QUEUE_SEL, 0);
	put(VIRTIO_MMIO_QUEUE_NUM, size);
	put(VIRTIO_MMIO_QUEUE_DESC_LOW, desc);
	put(VIRTIO_MMIO_QUEUE_AVAIL_LOW, GUEST_AVAIL);
	put(VIRTIO_MMIO_QUEUE_USED_LOW, GUEST_USED);
	put(VIRTIO_MMIO_QUEUE_READY, 1);
}

static void test_a_driver_gets_its_device_going(void **state)
{
	uint64_t one = 1;

	(void)state;
	assert_int_equal(get(VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	assert_int_equal(get(VIRTIO_MMIO_VERSION), 2);
	negotiate();
	assert_true(get(VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_FEATURES_OK);
	set_queue(8, GUEST_DESC);
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_READY), 1);
	put(VIRTIO_MMIO_STATUS, 0xf);
	assert_true(device->active);
	guest_desc(mem, 0, GUEST_DATA, 64, VRING_DESC_F_WRITE, 0);
	guest_offer(mem, 8, 0);
	assert_int_equal(write(device->kicks[0], &one, 8), 8);
	pthread_mutex_lock(&device->lock);
	device->ops->kick(device, 0);
	pthread_mutex_unlock(&device->lock);
	assert_int_equal(((uint16_t *)memory_at(mem, GUEST_USED, 64))[1], 1);
	assert_int_equal(get(VIRTIO_MMIO_INTERRUPT_STATUS), 1);
	put(VIRTIO_MMIO_INTERRUPT_ACK, 1);
	assert_int_equal(get(VIRTIO_MMIO_INTERRUPT_STATUS), 0);
}

static void test_features_that_were_not_offered_are_refused(void **state)
{
	(void)state;
	put(VIRTIO_MMIO_STATUS, 3);
	put(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	put(VIRTIO_MMIO_DRIVER_FEATURES, 1 << 5);
	put(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	put(VIRTIO_MMIO_DRIVER_FEATURES, 1);
	put(VIRTIO_MMIO_STATUS, 0xb);
	assert_false(get(VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_FEATURES_OK);
	put(VIRTIO_MMIO_STATUS, 0xf);
	assert_false(device->active);
}

static void test_a_queue_is_frozen_once_it_is_ready(void **state)
{
	(void)state;
	negotiate();
	set_queue(8, GUEST_DESC);
	put(VIRTIO_MMIO_QUEUE_NUM, 64);
	put(VIRTIO_MMIO_QUEUE_DESC_LOW, 0);
	assert_int_equal(device->queues[0].size, 8);
	assert_int_equal(device->queues[0].desc, GUEST_DESC);
	put(VIRTIO_MMIO_STATUS, 0xf);
	put(VIRTIO_MMIO_QUEUE_READY, 0);
	assert_true(device->queues[0].enabled);
}

static void test_bad_queues_need_a_reset_and_reset_heals(void **state)
{
	(void)state;
	negotiate();
	set_queue(8, 0xfffffff0);
	assert_true(get(VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
	put(VIRTIO_MMIO_STATUS, 0xf);
	assert_false(device->active);
	negotiate();
	set_queue(8, GUEST_DESC);
	assert_false(get(VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* Every register, read and written with every width, in every state: nothing may happen but answers. */
static void test_every_register_takes_every_access(void **state)
{
	static const uint32_t values[] = { 0, 1, 7, 0x80, 0xffff, 0xffffffff };
	static const unsigned int widths[] = { 1, 2, 4, 8 };

	(void)state;
	for (unsigned int round = 0; round < 3; round++) {
		if (round > 0)
			negotiate();
		if (round > 1)
			set_queue(8, GUEST_DESC);
		for (uint64_t offset = 0; offset < VIRTIO_MMIO_WINDOW; offset++)
			for (size_t w = 0; w < ARRAY_SIZE(widths); w++) {
				uint64_t data = values[(offset + w + round) % ARRAY_SIZE(values)];

				if (offset == VIRTIO_MMIO_STATUS && widths[w] == 4)
					continue; /* a write of it would end the round */
				virtio_mmio_access(device, offset, &data, widths[w], true);
				data = 0;
				virtio_mmio_access(device, offset, &data, widths[w], false);
			}
	}
	put(VIRTIO_MMIO_QUEUE_SEL, UINT32_MAX);
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
}

/* Where a list lies in these tests. */
#define LIST (GUEST_DATA + 0x1000)

static struct virtio_mmio_list *list(void)
{
	return memory_at(mem, LIST, sizeof(struct virtio_mmio_list));
}

static void add(uint32_t offset, uint32_t value)
{
	list()->writes[list()->n].offset = offset;
	list()->writes[list()->n].value = value;
	list()->n++;
}

static void put_list(uint64_t address)
{
	virtio_mmio_access(device, VIRTIO_MMIO_CELLA_LIST, &address, 8, true);
}

static void test_a_list_of_writes_does_what_the_writes_do(void **state)
{
	(void)state;
	assert_int_equal(get(VIRTIO_MMIO_CELLA_FEATURES_LOW), (uint32_t)device->features);
	assert_int_equal(get(VIRTIO_MMIO_CELLA_FEATURES_HIGH), device->features >> 32);
	assert_int_equal(get(VIRTIO_MMIO_CELLA_QUEUES), 1);
	assert_int_equal(get(VIRTIO_MMIO_CELLA_WRITES), VIRTIO_MMIO_LIST_MAX);
	list()->n = 0;
	add(VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	add(VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	add(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	add(VIRTIO_MMIO_DRIVER_FEATURES, 1);
	add(VIRTIO_MMIO_STATUS, 0xb);
	put_list(LIST);
	assert_int_equal(get(VIRTIO_MMIO_STATUS), 0xb);
	list()->n = 0;
	add(VIRTIO_MMIO_QUEUE_SEL, 0);
	add(VIRTIO_MMIO_QUEUE_NUM, 8);
	add(VIRTIO_MMIO_QUEUE_DESC_LOW, GUEST_DESC);
	add(VIRTIO_MMIO_QUEUE_AVAIL_LOW, GUEST_AVAIL);
	add(VIRTIO_MMIO_QUEUE_USED_LOW, GUEST_USED);
	add(VIRTIO_MMIO_QUEUE_READY, 1);
	add(VIRTIO_MMIO_STATUS, 0xf);
	put_list(LIST);
	assert_int_equal(get(VIRTIO_MMIO_STATUS), 0xf);
	assert_true(device->active);
}

static void test_a_list_that_is_none_does_nothing(void **state)
{
	static const struct {
		uint64_t address;
		uint32_t n;
	} lists[] = {
		{ LIST, 0 },
		{ LIST, VIRTIO_MMIO_LIST_MAX + 1 },
		{ LIST, UINT32_MAX },
		{ GUEST_MEMORY - 4, 1 },	/* its writes lie outside of memory */
		{ GUEST_MEMORY - 12, 2 },	/* the last one does */
		{ GUEST_MEMORY - 2, 1 },
		{ GUEST_MEMORY, 1 },
		{ UINT64_MAX - 3, 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		struct virtio_mmio_list *at = memory_at(mem, lists[i].address, 12);

		if (!at)
			at = memory_at(mem, lists[i].address, 4);
		if (at)
			at->n = lists[i].n;
		if (at && lists[i].address <= GUEST_MEMORY - 12)
			at->writes[0].offset = VIRTIO_MMIO_STATUS, at->writes[0].value = 1;
		put_list(lists[i].address);
		assert_int_equal(get(VIRTIO_MMIO_STATUS), 0);
	}
}

/* What is no register, the configuration space, a list within a list, and a reset end it. */
static void test_a_list_ends_at_what_it_may_not_do(void **state)
{
	static const uint32_t ends[][2] = {
		{ VIRTIO_MMIO_CONFIG, 1 },
		{ UINT32_MAX, 1 },
		{ VIRTIO_MMIO_STATUS + 1, 1 },
		{ VIRTIO_MMIO_STATUS, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		put(VIRTIO_MMIO_STATUS, 0);
		list()->n = 0;
		add(VIRTIO_MMIO_STATUS, 1);
		add(ends[i][0], ends[i][1]);
		add(VIRTIO_MMIO_STATUS, 3);
		put_list(LIST);
		assert_int_equal(get(VIRTIO_MMIO_STATUS), 1);
	}
	list()->n = 0;
	add(VIRTIO_MMIO_CELLA_LIST, LIST);
	add(VIRTIO_MMIO_STATUS, 3);
	put_list(LIST);
	assert_int_equal(get(VIRTIO_MMIO_STATUS), 3);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

TESTS(T(test_a_driver_gets_its_device_going), T(test_features_that_were_not_offered_are_refused),
      T(test_a_queue_is_frozen_once_it_is_ready), T(test_bad_queues_need_a_reset_and_reset_heals),
      T(test_every_register_takes_every_access), T(test_a_list_of_writes_does_what_the_writes_do),
      T(test_a_list_that_is_none_does_nothing), T(test_a_list_ends_at_what_it_may_not_do))
