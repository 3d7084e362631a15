/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/virtio/rng.h"

#include "tests/unit/test.h"
#include "tests/unit/vmm/driver.h"

static struct driver driver;

static int set_up(void **state)
{
	struct err err;

	(void)state;
	driver_init(&driver);
	driver.device = rng_new(driver.mem, &err);
	assert_non_null(driver.device);
	driver_start(&driver);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	rng_free(driver.device);
	driver_done(&driver);
	return 0;
}

static void test_buffers_are_filled_with_different_bytes(void **state)
{
	static const uint8_t zero[32];
	struct driver_buffer chain[2] = { { DRIVER_DATA, 32, VRING_DESC_F_WRITE }, { DRIVER_DATA + 64, 32, VRING_DESC_F_WRITE } };

	(void)state;
	driver_offer(&driver, 0, 0, chain, 2);
	driver_kick(&driver, 0);
	assert_int_equal(driver_used_len(&driver, 0, 0), 64);
	assert_memory_not_equal(driver_data(&driver, 0, 32), zero, 32);
	assert_memory_not_equal(driver_data(&driver, 64, 32), driver_data(&driver, 0, 32), 32);
	assert_memory_equal(driver_data(&driver, 32, 32), zero, 32);
}

/* A guest that asks for megabytes gets a page: the I/O thread is not its slave. */
static void test_a_huge_request_is_cut(void **state)
{
	struct driver_buffer buffer = { DRIVER_DATA, 1 << 20, VRING_DESC_F_WRITE };

	(void)state;
	driver_offer(&driver, 0, 0, &buffer, 1);
	driver_kick(&driver, 0);
	assert_int_equal(driver_used_len(&driver, 0, 0), 4096);
}

static void test_a_readable_buffer_is_not_written(void **state)
{
	struct driver_buffer buffer = { DRIVER_DATA, 32, 0 };
	static const uint8_t zero[32];

	(void)state;
	driver_offer(&driver, 0, 0, &buffer, 1);
	driver_kick(&driver, 0);
	assert_int_equal(driver_used_len(&driver, 0, 0), 0);
	assert_memory_equal(driver_data(&driver, 0, 32), zero, 32);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

TESTS(T(test_buffers_are_filled_with_different_bytes), T(test_a_huge_request_is_cut), T(test_a_readable_buffer_is_not_written))
