/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/virtio/device_state.h"

#include <linux/virtio_balloon.h>
#include <linux/virtio_config.h>

#include "tests/unit/test.h"
#include "tests/unit/vmm/driver.h"
#include "vmm/virtio/balloon.h"
#include "vmm/virtio/rng.h"

enum { INFLATE };

#define PAGE 4096
#define VICTIM 0x200000ULL

static struct driver driver;
static struct virtio_device_state saved;
static struct err err;

static int set_up(void **state)
{
	(void)state;
	driver_init(&driver);
	driver.device = balloon_new(driver.mem, &err);
	assert_non_null(driver.device);
	driver_start(&driver);
	driver.device->status = 0xf;
	driver.device->driver_features = 1ULL << VIRTIO_F_VERSION_1;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	balloon_free(driver.device);
	driver_done(&driver);
	return 0;
}

static void inflate(uint32_t pfn)
{
	struct driver_buffer buffer = { DRIVER_DATA, 4, 0 };

	memcpy(driver_data(&driver, 0, 4), &pfn, 4);
	driver_offer(&driver, INFLATE, 0, &buffer, 1);
}

/* Another device takes the place of the one that was saved. */
static int replace(struct virtio_device *(*make)(const struct memory *mem, struct err *err))
{
	balloon_free(driver.device);
	driver.device = make(driver.mem, &err);
	virtio_mmio_show(driver.device, driver.page);
	return virtio_device_restore(driver.device, &saved, &err);
}

static uint64_t count(int eventfd)
{
	uint64_t n = 0;

	return read(eventfd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static void test_queues_go_on_where_they_were(void **state)
{
	(void)state;
	memset(memory_at(driver.mem, VICTIM, 2 * PAGE), 'x', 2 * PAGE);
	inflate(VICTIM / PAGE);
	driver_kick(&driver, INFLATE);
	assert_int_equal(driver_used(&driver, INFLATE), 1);
	inflate(VICTIM / PAGE + 1); /* whose notification is lost */
	assert_int_equal(virtio_device_save(driver.device, &saved, &err), 0);
	assert_int_equal(replace(balloon_new), 0);
	assert_true(driver.device->active);
	assert_int_equal(count(driver.device->kicks[INFLATE]), 1);
	driver_kick(&driver, INFLATE);
	assert_int_equal(driver_used(&driver, INFLATE), 2);
	assert_int_equal(*(char *)memory_at(driver.mem, VICTIM + PAGE, 1), 0);
}

static void test_registers_and_configuration_come_back(void **state)
{
	struct virtio_balloon_config *config = (struct virtio_balloon_config *)driver.device->config;

	(void)state;
	config->actual = 77;
	driver.device->queue_select = 1;
	driver.device->config_generation = 5;
	assert_int_equal(virtio_device_save(driver.device, &saved, &err), 0);
	assert_int_equal(replace(balloon_new), 0);
	assert_int_equal(driver.device->queue_select, 1);
	assert_int_equal(driver.device->driver_features, 1ULL << VIRTIO_F_VERSION_1);
	assert_int_equal(((struct virtio_balloon_config *)driver.device->config)->actual, 77);
	assert_int_equal(*(uint32_t *)(driver.page + 0x70), 0xf); /* Status */
	assert_int_equal(*(uint32_t *)(driver.page + 0xfc), 5);	  /* ConfigGeneration */
}

/* An interrupt that was on its way to the vCPU may be in nobody's state. */
static void test_an_interrupt_is_raised_again(void **state)
{
	(void)state;
	assert_int_equal(virtio_device_save(driver.device, &saved, &err), 0);
	assert_int_equal(replace(balloon_new), 0);
	assert_int_equal(count(driver.device->irq), 0);
	inflate(VICTIM / PAGE);
	driver_kick(&driver, INFLATE);
	assert_int_equal(virtio_device_save(driver.device, &saved, &err), 0);
	assert_int_equal(replace(balloon_new), 0);
	assert_int_equal(count(driver.device->irq), 1);
}

static void test_a_device_without_a_driver_stays_idle(void **state)
{
	(void)state;
	driver.device->status = 3;
	assert_int_equal(virtio_device_save(driver.device, &saved, &err), 0);
	assert_int_equal(replace(balloon_new), 0);
	assert_false(driver.device->active);
	assert_int_equal(count(driver.device->kicks[INFLATE]), 0);
}

static void test_a_request_in_its_hands_keeps_a_device_from_being_saved(void **state)
{
	struct virtqueue_chain chain;

	(void)state;
	inflate(VICTIM / PAGE);
	assert_int_equal(virtqueue_pop(&driver.device->queues[INFLATE], &chain), 1);
	assert_int_equal(virtio_device_save(driver.device, &saved, &err), -EBUSY);
	virtqueue_unpop(&driver.device->queues[INFLATE], chain.head);
	assert_int_equal(virtio_device_save(driver.device, &saved, &err), 0);
	driver.device->in_flight = 1;
	assert_int_equal(virtio_device_save(driver.device, &saved, &err), -EBUSY);
	driver.device->in_flight = 0;
}

static void test_what_does_not_fit_is_refused(void **state)
{
	struct virtio_device_state good;

	(void)state;
	assert_int_equal(virtio_device_save(driver.device, &good, &err), 0);
	saved = good;
	assert_int_equal(replace(rng_new), -EINVAL);
	rng_free(driver.device);
	driver.device = balloon_new(driver.mem, &err);
	saved.config_size = 3;
	assert_int_equal(replace(balloon_new), -EINVAL);
	saved = good;
	saved.driver_features |= 1ULL << 50;
	assert_int_equal(replace(balloon_new), -EINVAL);
	saved = good;
	saved.queues[INFLATE].desc = GUEST_MEMORY;
	assert_int_equal(replace(balloon_new), -EINVAL);
	saved = good;
	saved.queues[INFLATE].size = 3;
	assert_int_equal(replace(balloon_new), -EINVAL);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

TESTS(TEST(test_queues_go_on_where_they_were), TEST(test_registers_and_configuration_come_back), TEST(test_an_interrupt_is_raised_again),
      TEST(test_a_device_without_a_driver_stays_idle), TEST(test_a_request_in_its_hands_keeps_a_device_from_being_saved),
      TEST(test_what_does_not_fit_is_refused))
