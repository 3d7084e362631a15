/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/virtio/blk.h"

#include <fcntl.h>
#include <linux/virtio_blk.h>

#include "tests/unit/test.h"
#include "tests/unit/vmm/driver.h"
#include "vmm/virtio/disk_ring.h"

#define SECTORS 64
#define HEADER 0
#define STATUS 0x100
#define BUFFER 0x1000
#define UNTOUCHED 0xee

static struct driver driver;
static char path[64];
static int file;
static struct disk_ring *ring;

static void create(bool read_only)
{
	struct err err;
	int fd;

	strcpy(path, "/tmp/cella-blk-test.XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, SECTORS * 512), 0);
	file = open(path, O_RDWR | O_CLOEXEC);
	driver_init(&driver);
	ring = disk_ring_new(driver.loop, &err);
	assert_non_null(ring);
	driver.device = blk_new(driver.mem, ring, fd, read_only, "disk", &err);
	assert_non_null(driver.device);
	driver_start(&driver);
}

static int set_up(void **state)
{
	(void)state;
	create(false);
	return 0;
}

static int set_up_read_only(void **state)
{
	(void)state;
	create(true);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	blk_free(driver.device);
	disk_ring_free(ring);
	driver_done(&driver);
	close(file);
	return unlink(path);
}

/* One request; returns its status byte, or UNTOUCHED. */
static uint8_t request(uint32_t type, uint64_t sector, uint32_t len)
{
	struct virtio_blk_outhdr header = { .type = type, .sector = sector };
	bool to_guest = type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;
	struct driver_buffer chain[3] = { { DRIVER_DATA + HEADER, sizeof(header), 0 } };
	unsigned int n = 1, before = driver_used(&driver, 0);
	uint8_t *status = driver_data(&driver, STATUS, 1);

	memcpy(driver_data(&driver, HEADER, sizeof(header)), &header, sizeof(header));
	*status = UNTOUCHED;
	if (len)
		chain[n++] = (struct driver_buffer){ DRIVER_DATA + BUFFER, len, to_guest ? VRING_DESC_F_WRITE : 0 };
	chain[n++] = (struct driver_buffer){ DRIVER_DATA + STATUS, 1, VRING_DESC_F_WRITE };
	driver_offer(&driver, 0, 0, chain, n);
	driver_kick(&driver, 0);
	for (int i = 0; i < 100 && driver_used(&driver, 0) == before && !driver.device->queues[0].broken; i++)
		assert_true(loop_step(driver.loop, 50) >= 0);
	return *status;
}

static void test_sectors_are_written_and_read_back(void **state)
{
	char sector[512];

	(void)state;
	memset(driver_data(&driver, BUFFER, 1024), 'w', 1024);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 5, 1024), VIRTIO_BLK_S_OK);
	assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(pread(file, sector, 512, 6 * 512), 512);
	assert_int_equal(sector[511], 'w');
	memset(driver_data(&driver, BUFFER, 1024), 0, 1024);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 5, 1024), VIRTIO_BLK_S_OK);
	assert_int_equal(*(char *)driver_data(&driver, BUFFER + 1023, 1), 'w');
	assert_int_equal(driver_used_len(&driver, 0, 2), 1025);
}

static void test_the_id_is_the_one_that_was_given(void **state)
{
	(void)state;
	assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, 20), VIRTIO_BLK_S_OK);
	assert_string_equal(driver_data(&driver, BUFFER, 20), "disk");
}

static void test_a_read_only_disk_is_not_written(void **state)
{
	char byte = 1;

	(void)state;
	assert_true(driver.device->features & 1ULL << VIRTIO_BLK_F_RO);
	memset(driver_data(&driver, BUFFER, 512), 'w', 512);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(pread(file, &byte, 1, 0), 1);
	assert_int_equal(byte, 0);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK);
}

/* What a guest may get wrong or lie about: an error for the request, no byte moved. */
static void test_hostile_requests(void **state)
{
	static const struct {
		uint32_t type;
		uint64_t sector;
		uint32_t len;
		uint8_t status;
	} requests[] = {
		{ VIRTIO_BLK_T_IN, SECTORS, 512, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_IN, SECTORS - 1, 1024, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_IN, UINT64_MAX, 512, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_IN, 1ULL << 55, 512, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_OUT, SECTORS, 512, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_OUT, 0, 511, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_IN, 0, 1, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_DISCARD, 0, 16, VIRTIO_BLK_S_UNSUPP },
		{ 0xffffffff, 0, 0, VIRTIO_BLK_S_UNSUPP },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++)
		assert_int_equal(request(requests[i].type, requests[i].sector, requests[i].len), requests[i].status);
	assert_false(driver.device->queues[0].broken);
}

static void test_a_chain_without_room_for_the_status_stops_the_device(void **state)
{
	struct driver_buffer chain = { DRIVER_DATA, sizeof(struct virtio_blk_outhdr), 0 };

	(void)state;
	driver_offer(&driver, 0, 0, &chain, 1);
	driver_kick(&driver, 0);
	assert_true(driver.device->queues[0].broken);
}

static void test_a_reset_waits_for_what_is_under_way(void **state)
{
	struct virtio_blk_outhdr header = { .type = VIRTIO_BLK_T_IN };
	struct driver_buffer chain[3] = {
		{ DRIVER_DATA + HEADER, sizeof(header), 0 },
		{ DRIVER_DATA + BUFFER, 512, VRING_DESC_F_WRITE },
		{ DRIVER_DATA + STATUS, 1, VRING_DESC_F_WRITE },
	};

	(void)state;
	memcpy(driver_data(&driver, HEADER, sizeof(header)), &header, sizeof(header));
	driver_offer(&driver, 0, 0, chain, 3);
	pthread_mutex_lock(&driver.device->lock);
	driver.device->ops->kick(driver.device, 0);
	driver.device->active = false;
	driver.device->ops->reset(driver.device);
	pthread_mutex_unlock(&driver.device->lock);
	/* The memory is the guest's again: nothing may arrive in it now. */
	memset(driver_data(&driver, BUFFER, 512), 'g', 512);
	driver_start(&driver);
	driver_step(&driver);
	assert_int_equal(*(char *)driver_data(&driver, BUFFER, 1), 'g');
	assert_int_equal(driver_used(&driver, 0), 0);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

TESTS(T(test_sectors_are_written_and_read_back), T(test_the_id_is_the_one_that_was_given),
      cmocka_unit_test_setup_teardown(test_a_read_only_disk_is_not_written, set_up_read_only, tear_down),
      T(test_hostile_requests), T(test_a_chain_without_room_for_the_status_stops_the_device),
      T(test_a_reset_waits_for_what_is_under_way))
