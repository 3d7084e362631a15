/* SPDX-License-Identifier: Apache-2.0 */
/* Requests through the queue, served by the workers' threads; what is asked of the files, fs_server_test.c tries. */
#include "vmm/virtio/fs.h"

#include <signal.h>
#include <time.h>

#include "tests/unit/vmm/driver.h"
#include "tests/unit/vmm/fs_client.h"

#define QUEUE 1
#define REPLY 0x800 /* behind its request */
#define ROOM 0x1000 /* for a request and its reply */

static struct driver driver;
static char directory[] = "/tmp/cella-fs-test.XXXXXX", path[64];
static uint64_t node; /* the file's */
static int held;      /* opened for writing, under a lease: who else opens the file waits until it is given up */

static int set_up(void **state)
{
	(void)state;
	make_directory(directory, path);
	held = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	signal(SIGIO, SIG_IGN); /* tells that somebody waits */
	assert_int_equal(fcntl(held, F_SETLEASE, F_WRLCK), 0);
	node = share_file(directory);
	driver_init(&driver);
	return 0;
}

static void start(unsigned int workers)
{
	struct err err;

	driver.device = fs_new(driver.mem, server, "test", workers, &err);
	assert_non_null(driver.device);
	driver_start(&driver);
	assert_int_equal(fs_start(driver.device, NULL, NULL, &err), 0);
}

static int tear_down(void **state)
{
	(void)state;
	close(held);
	fs_free(driver.device);
	driver_done(&driver);
	fs_server_free(server);
	unlink(path);
	return rmdir(directory);
}

/* The n-th request of a test, from 0 on. */
static void offer(unsigned int n, uint32_t opcode, const void *body, size_t len)
{
	struct fuse_in_header header = { .len = (uint32_t)(sizeof(header) + len), .opcode = opcode, .unique = n + 1, .nodeid = node };
	const struct driver_buffer buffers[] = {
		{ DRIVER_DATA + n * ROOM, header.len, 0 },
		{ DRIVER_DATA + n * ROOM + REPLY, ROOM - REPLY, VRING_DESC_F_WRITE },
	};
	char *request = driver_data(&driver, n * ROOM, ROOM);

	memcpy(request, &header, sizeof(header));
	memcpy(request + sizeof(header), body, len);
	driver_offer(&driver, QUEUE, 2 * n, buffers, 2);
}

static void offer_slow(unsigned int n)
{
	struct fuse_open_in slow = { .flags = O_RDONLY };

	offer(n, FUSE_OPEN, &slow, sizeof(slow));
}

static void offer_quick(unsigned int n)
{
	offer(n, FUSE_STATFS, "", 0);
}

static void notify(void)
{
	uint64_t one = 1;

	assert_int_equal(write(driver.device->kicks[QUEUE], &one, sizeof(one)), sizeof(one));
}

/* Whether so many requests, and no more, are answered within ten seconds. */
static bool answers(unsigned int n)
{
	struct timespec pause = { .tv_nsec = 1000000 };

	for (unsigned int i = 0; i < 10000 && driver_used(&driver, QUEUE) < n; i++)
		nanosleep(&pause, NULL);
	pause.tv_nsec = 20000000;
	nanosleep(&pause, NULL);
	return driver_used(&driver, QUEUE) == n;
}

static bool is_answered(unsigned int n)
{
	return ((struct fuse_out_header *)driver_data(&driver, n * ROOM + REPLY, ROOM - REPLY))->unique == n + 1;
}

static void give_up_lease(void)
{
	assert_int_equal(fcntl(held, F_SETLEASE, F_UNLCK), 0);
}

static void test_one_after_the_other(void **state)
{
	(void)state;
	start(1);
	for (unsigned int n = 0; n < 5; n++) {
		offer_quick(n);
		notify();
		assert_true(answers(n + 1));
		assert_true(is_answered(n));
	}
}

static void test_a_slow_one_holds_up_none_that_comes_later(void **state)
{
	(void)state;
	start(2);
	offer_slow(0);
	notify();
	assert_true(answers(0));
	offer_quick(1);
	notify();
	assert_true(answers(1));
	assert_true(is_answered(1));
	give_up_lease();
	assert_true(answers(2));
}

/* One notification for all of them: whoever takes one has to see to the next. */
static void test_slow_ones_hold_up_none_behind_them(void **state)
{
	(void)state;
	start(3);
	offer_slow(0);
	offer_slow(1);
	offer_quick(2);
	notify();
	assert_true(answers(1));
	assert_true(is_answered(2));
	give_up_lease();
	assert_true(answers(3));
}

static void test_a_slow_one_between_quick_ones(void **state)
{
	(void)state;
	start(2);
	offer_quick(0);
	offer_slow(1);
	offer_quick(2);
	notify();
	assert_true(answers(2));
	assert_true(is_answered(0) && is_answered(2));
	give_up_lease();
	assert_true(answers(3));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

TESTS(TEST(test_one_after_the_other), TEST(test_a_slow_one_holds_up_none_that_comes_later),
      TEST(test_slow_ones_hold_up_none_behind_them), TEST(test_a_slow_one_between_quick_ones))
