/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/virtio/console.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "lib/fdpass.h"
#include "lib/io.h"
#include "tests/unit/test.h"
#include "tests/unit/vmm/driver.h"

enum { RECEIVE, TRANSMIT };

static struct driver driver;
static struct serial serial;
static char directory[64], path[96];
static int listener;

static int set_up(void **state)
{
	struct err err;

	(void)state;
	strcpy(directory, "/tmp/cella-console-test.XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/console", directory);
	driver_init(&driver);
	serial_init(&serial);
	listener = fdpass_listen(path, 4, &err);
	driver.device = console_new(driver.mem, driver.loop, &serial, listener, &err);
	assert_non_null(driver.device);
	driver_start(&driver);
	return 0;
}

static int tear_down(void **state)
{
	struct err err;

	(void)state;
	console_free(driver.device);
	close(listener);
	driver_done(&driver);
	return io_remove_tree(AT_FDCWD, directory, &err);
}

static int attach(void)
{
	struct err err;
	int fd = fdpass_connect(path, &err);

	assert_true(fd >= 0);
	driver_step(&driver);
	return fd;
}

static void guest_prints(const char *text)
{
	struct driver_buffer buffer = { DRIVER_DATA, (uint32_t)strlen(text), 0 };

	memcpy(driver_data(&driver, 0, buffer.len), text, buffer.len);
	driver_offer(&driver, TRANSMIT, 0, &buffer, 1);
	driver_kick(&driver, TRANSMIT);
}

static void test_output_is_recorded_and_reaches_who_is_attached(void **state)
{
	char lines[64], buf[64] = "";
	int fd;

	(void)state;
	guest_prints("before\n");
	fd = attach();
	guest_prints("after\n");
	assert_int_equal(recv(fd, buf, sizeof(buf), MSG_DONTWAIT), 6);
	assert_memory_equal(buf, "after\n", 6);
	serial_last_lines(&serial, lines, sizeof(lines));
	assert_string_equal(lines, "before\nafter\n");
	assert_int_equal(driver_used(&driver, TRANSMIT), 2);
	close(fd);
}

static void test_input_waits_for_a_buffer(void **state)
{
	struct driver_buffer buffer = { DRIVER_DATA + 0x1000, 64, VRING_DESC_F_WRITE };
	int fd = attach();

	(void)state;
	assert_int_equal(io_write_all(fd, "typed", 5), 0);
	driver_step(&driver);
	assert_int_equal(driver_used(&driver, RECEIVE), 0);
	driver_offer(&driver, RECEIVE, 0, &buffer, 1);
	driver_kick(&driver, RECEIVE);
	assert_int_equal(driver_used(&driver, RECEIVE), 1);
	assert_int_equal(driver_used_len(&driver, RECEIVE, 0), 5);
	assert_memory_equal(driver_data(&driver, 0x1000, 5), "typed", 5);
	close(fd);
}

static void test_a_second_client_takes_the_place_of_the_first(void **state)
{
	char byte;
	int first = attach(), second = attach();

	(void)state;
	assert_int_equal(recv(first, &byte, 1, MSG_DONTWAIT), 0);
	guest_prints("x");
	assert_int_equal(recv(second, &byte, 1, MSG_DONTWAIT), 1);
	close(first);
	close(second);
	driver_step(&driver);
	guest_prints("y"); /* nobody is attached: nothing happens */
	assert_int_equal(driver_used(&driver, TRANSMIT), 2);
}

/* Input into a buffer that the device may only read breaks 2.7.4.2: the queue stops. */
static void test_a_readable_receive_buffer_takes_nothing(void **state)
{
	struct driver_buffer buffer = { DRIVER_DATA, 64, 0 };
	int fd = attach();

	(void)state;
	memset(driver_data(&driver, 0, 64), 'g', 64);
	driver_offer(&driver, RECEIVE, 0, &buffer, 1);
	assert_int_equal(io_write_all(fd, "host", 4), 0);
	driver_step(&driver);
	assert_memory_equal(driver_data(&driver, 0, 4), "gggg", 4);
	close(fd);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

TESTS(T(test_output_is_recorded_and_reaches_who_is_attached), T(test_input_waits_for_a_buffer),
      T(test_a_second_client_takes_the_place_of_the_first), T(test_a_readable_receive_buffer_takes_nothing))
