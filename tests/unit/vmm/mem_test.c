/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/virtio/mem.h"

#include <linux/virtio_mem.h>

#include "tests/unit/test.h"
#include "tests/unit/vmm/driver.h"

static struct driver driver;

static int set_up(void **state)
{
	struct err err;

	(void)state;
	driver_init(&driver);
	driver.device = mem_new(driver.mem, &err);
	assert_non_null(driver.device);
	driver_start(&driver);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	mem_free(driver.device);
	driver_done(&driver);
	return 0;
}

static const struct virtio_mem_config *config(void)
{
	return (const void *)driver.device->config;
}

/* The host opens `open` blocks of MEMORY_BLOCK and asks the guest for `wanted` bytes. */
static void offer(uint64_t open, uint64_t wanted)
{
	assert_int_equal(memory_open_growth(driver.mem, open * MEMORY_BLOCK), 0);
	mem_request(driver.device, wanted, open * MEMORY_BLOCK);
}

static struct virtio_mem_resp ask(uint16_t type, uint64_t address, uint16_t blocks)
{
	struct virtio_mem_req *request = driver_data(&driver, 0, sizeof(*request));
	struct virtio_mem_resp *response = driver_data(&driver, 4096, sizeof(*response));
	struct driver_buffer chain[2] = {
		{ DRIVER_DATA, sizeof(*request), 0 },
		{ DRIVER_DATA + 4096, sizeof(*response), VRING_DESC_F_WRITE },
	};
	unsigned int before = driver_used(&driver, 0);

	memset(request, 0, sizeof(*request));
	memset(response, 0xff, sizeof(*response));
	request->type = type;
	request->u.plug.addr = address;
	request->u.plug.nb_blocks = blocks;
	driver_offer(&driver, 0, 0, chain, 2);
	driver_kick(&driver, 0);
	assert_int_equal(driver_used(&driver, 0), before + 1);
	return *response;
}

static void test_what_is_asked_for_is_plugged_and_unplugged(void **state)
{
	uint64_t base = config()->addr;

	(void)state;
	offer(1, 3 * MEM_BLOCK);
	assert_int_equal(ask(VIRTIO_MEM_REQ_PLUG, base, 2).type, VIRTIO_MEM_RESP_ACK);
	assert_int_equal(ask(VIRTIO_MEM_REQ_PLUG, base + 4 * MEM_BLOCK, 1).type, VIRTIO_MEM_RESP_ACK);
	assert_int_equal(mem_plugged(driver.device), 3 * MEM_BLOCK);
	assert_int_equal(ask(VIRTIO_MEM_REQ_STATE, base, 2).u.state.state, VIRTIO_MEM_STATE_PLUGGED);
	assert_int_equal(ask(VIRTIO_MEM_REQ_STATE, base + 2 * MEM_BLOCK, 2).u.state.state, VIRTIO_MEM_STATE_UNPLUGGED);
	assert_int_equal(ask(VIRTIO_MEM_REQ_STATE, base, 5).u.state.state, VIRTIO_MEM_STATE_MIXED);
	memset(memory_at(driver.mem, base, MEM_BLOCK), 'x', 4096);
	assert_int_equal(ask(VIRTIO_MEM_REQ_UNPLUG, base, 1).type, VIRTIO_MEM_RESP_ACK);
	assert_int_equal(*(char *)memory_at(driver.mem, base, 1), 0);
	assert_int_equal(mem_plugged(driver.device), 2 * MEM_BLOCK);
	assert_int_equal(ask(VIRTIO_MEM_REQ_UNPLUG_ALL, 0, 0).type, VIRTIO_MEM_RESP_ACK);
	assert_int_equal(mem_plugged(driver.device), 0);
	assert_int_equal(ask(VIRTIO_MEM_REQ_STATE, base, 64).u.state.state, VIRTIO_MEM_STATE_UNPLUGGED);
}

static void test_no_more_than_asked_for(void **state)
{
	(void)state;
	offer(1, 2 * MEM_BLOCK + 1);
	assert_int_equal(config()->requested_size, 2 * MEM_BLOCK);
	assert_int_equal(ask(VIRTIO_MEM_REQ_PLUG, config()->addr, 3).type, VIRTIO_MEM_RESP_NACK);
	assert_int_equal(ask(VIRTIO_MEM_REQ_PLUG, config()->addr, 2).type, VIRTIO_MEM_RESP_ACK);
	assert_int_equal(ask(VIRTIO_MEM_REQ_PLUG, config()->addr + 2 * MEM_BLOCK, 1).type, VIRTIO_MEM_RESP_NACK);
	/* Less is wanted than is there: nothing new until the guest has given it back. */
	offer(1, MEM_BLOCK);
	assert_int_equal(ask(VIRTIO_MEM_REQ_PLUG, config()->addr + 2 * MEM_BLOCK, 1).type, VIRTIO_MEM_RESP_NACK);
}

static void test_ranges_that_are_none(void **state)
{
	uint64_t base = config()->addr, end = base + MEMORY_BLOCK;
	const struct {
		uint64_t address;
		uint16_t blocks;
	} bad[] = {
		{ base, 0 },		{ base + 1, 1 },	{ base - MEM_BLOCK, 1 }, { end, 1 },
		{ end - MEM_BLOCK, 2 }, { base, 65 },		{ base, UINT16_MAX },	 { 0, 1 },
		{ UINT64_MAX, 1 },	{ UINT64_MAX - MEM_BLOCK + 1, 1 },
	};
	static const uint16_t types[] = { VIRTIO_MEM_REQ_PLUG, VIRTIO_MEM_REQ_UNPLUG, VIRTIO_MEM_REQ_STATE, 4, UINT16_MAX };

	(void)state;
	offer(1, MEMORY_BLOCK);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		for (size_t k = 0; k < ARRAY_SIZE(types); k++)
			assert_int_equal(ask(types[k], bad[i].address, bad[i].blocks).type, VIRTIO_MEM_RESP_ERROR);
	assert_int_equal(mem_plugged(driver.device), 0);
	assert_int_equal(ask(VIRTIO_MEM_REQ_PLUG, base, 1).type, VIRTIO_MEM_RESP_ACK);
	assert_int_equal(ask(VIRTIO_MEM_REQ_PLUG, base, 2).type, VIRTIO_MEM_RESP_ERROR);
	assert_int_equal(ask(VIRTIO_MEM_REQ_UNPLUG, base, 2).type, VIRTIO_MEM_RESP_ERROR);
}

static void test_a_request_that_is_too_short_stops_the_device(void **state)
{
	struct driver_buffer chain[2] = {
		{ DRIVER_DATA, sizeof(struct virtio_mem_req) - 1, 0 },
		{ DRIVER_DATA + 4096, sizeof(struct virtio_mem_resp), VRING_DESC_F_WRITE },
	};

	(void)state;
	driver_offer(&driver, 0, 0, chain, 2);
	driver_kick(&driver, 0);
	assert_true(driver.device->queues[0].broken);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

TESTS(T(test_what_is_asked_for_is_plugged_and_unplugged), T(test_no_more_than_asked_for), T(test_ranges_that_are_none),
      T(test_a_request_that_is_too_short_stops_the_device))
