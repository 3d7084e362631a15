/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/virtio/balloon.h"

#include <linux/virtio_balloon.h>

#include "tests/unit/test.h"
#include "tests/unit/vmm/driver.h"

enum { INFLATE, DEFLATE, REPORTING };

#define PAGE 4096
#define VICTIM 0x200000ULL /* guest address of the pages that are given up */

static struct driver driver;

static int set_up(void **state)
{
	struct err err;

	(void)state;
	driver_init(&driver);
	driver.device = balloon_new(driver.mem, &err);
	assert_non_null(driver.device);
	driver_start(&driver);
	memset(memory_at(driver.mem, VICTIM, 4 * PAGE), 'x', 4 * PAGE);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	balloon_free(driver.device);
	driver_done(&driver);
	return 0;
}

static void send_pages(unsigned int queue, const uint32_t *pfns, uint32_t n)
{
	struct driver_buffer buffer = { DRIVER_DATA, n * 4, 0 };

	memcpy(driver_data(&driver, 0, n * 4), pfns, n * 4);
	driver_offer(&driver, queue, 0, &buffer, 1);
	driver_kick(&driver, queue);
}

static char first_byte(unsigned int page)
{
	return *(char *)memory_at(driver.mem, VICTIM + page * PAGE, 1);
}

static void test_inflating_discards_just_those_pages(void **state)
{
	uint32_t pfns[] = { VICTIM / PAGE, VICTIM / PAGE + 1, VICTIM / PAGE + 3 };

	(void)state;
	send_pages(INFLATE, pfns, 3);
	assert_int_equal(first_byte(0), 0);
	assert_int_equal(first_byte(1), 0);
	assert_int_equal(first_byte(2), 'x');
	assert_int_equal(first_byte(3), 0);
	assert_int_equal(balloon_discarded(driver.device), 3 * PAGE);
	send_pages(DEFLATE, pfns, 3);
	assert_int_equal(driver_used(&driver, DEFLATE), 1);
}

static void test_reported_pages_are_discarded(void **state)
{
	struct driver_buffer chain[2] = {
		{ VICTIM, PAGE, VRING_DESC_F_WRITE },
		{ VICTIM + 2 * PAGE, 2 * PAGE, VRING_DESC_F_WRITE },
	};

	(void)state;
	driver_offer(&driver, REPORTING, 0, chain, 2);
	driver_kick(&driver, REPORTING);
	assert_int_equal(first_byte(0), 0);
	assert_int_equal(first_byte(1), 'x');
	assert_int_equal(first_byte(3), 0);
	assert_int_equal(driver_used(&driver, REPORTING), 1);
}

/* Parts of pages stay: what a page shares with something else is not free. */
static void test_odd_ends_of_a_report_stay(void **state)
{
	struct driver_buffer buffer = { VICTIM + 100, 2 * PAGE, VRING_DESC_F_WRITE };

	(void)state;
	driver_offer(&driver, REPORTING, 0, &buffer, 1);
	driver_kick(&driver, REPORTING);
	assert_int_equal(first_byte(0), 'x');
	assert_int_equal(first_byte(1), 0);
	assert_int_equal(first_byte(2), 'x');
}

static void test_pages_outside_of_memory_stop_the_device(void **state)
{
	static const uint32_t bad[] = { GUEST_MEMORY / PAGE, 0xffffffff, 0xfee00 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		send_pages(INFLATE, &bad[i], 1);
		assert_true(driver.device->queues[INFLATE].broken);
		driver.device->status = 0; /* what a driver's reset does */
		driver_start(&driver);
	}
	assert_int_equal(balloon_discarded(driver.device), 0);
}

static void test_the_target_is_bounded_by_the_memory(void **state)
{
	const struct virtio_balloon_config *config = (const void *)driver.device->config;

	(void)state;
	balloon_set_target(driver.device, 1);
	assert_int_equal(config->num_pages, 256);
	balloon_set_target(driver.device, UINT32_MAX);
	assert_int_equal(config->num_pages, GUEST_MEMORY / PAGE);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

TESTS(T(test_inflating_discards_just_those_pages), T(test_reported_pages_are_discarded),
      T(test_odd_ends_of_a_report_stay), T(test_pages_outside_of_memory_stop_the_device),
      T(test_the_target_is_bounded_by_the_memory))
