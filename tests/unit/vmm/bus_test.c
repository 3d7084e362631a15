/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/bus.h"

#include "tests/unit/test.h"
#include "vmm/serial.h"

static uint64_t seen_offset;
static unsigned int calls;

static void handler(void *ctx, uint64_t offset, void *data, unsigned int len, bool is_write)
{
	(void)ctx;
	seen_offset = offset;
	calls++;
	if (!is_write)
		memset(data, 0x11, len);
}

static void test_an_access_reaches_its_device_and_no_other(void **state)
{
	struct bus bus = { 0 };
	uint32_t value = 0;

	(void)state;
	calls = 0;
	assert_int_equal(bus_add(&bus, 0x1000, 0x100, handler, NULL), 0);
	bus_access(&bus, 0x1010, &value, 4, false);
	assert_int_equal(value, 0x11111111);
	assert_int_equal(seen_offset, 0x10);
	bus_access(&bus, 0x10ff, &value, 1, true);
	assert_int_equal(seen_offset, 0xff);
	assert_int_equal(calls, 2);
	/* Nothing there, and across the end: all ones, no call. */
	bus_access(&bus, 0x1100, &value, 4, false);
	assert_int_equal(value, 0xffffffff);
	value = 0;
	bus_access(&bus, 0x10fe, &value, 4, false);
	assert_int_equal(value, 0xffffffff);
	bus_access(&bus, UINT64_MAX, &value, 4, true);
	assert_int_equal(calls, 2);
}

static void test_ranges_do_not_overlap(void **state)
{
	struct bus bus = { 0 };

	(void)state;
	assert_int_equal(bus_add(&bus, 0x1000, 0x100, handler, NULL), 0);
	assert_int_equal(bus_add(&bus, 0x10ff, 1, handler, NULL), -EEXIST);
	assert_int_equal(bus_add(&bus, 0xf00, 0x101, handler, NULL), -EEXIST);
	assert_int_equal(bus_add(&bus, 0x1100, 0x100, handler, NULL), 0);
	for (uint64_t i = 2; i < BUS_RANGES_MAX; i++)
		assert_int_equal(bus_add(&bus, 0x10000 + i * 16, 16, handler, NULL), 0);
	assert_int_equal(bus_add(&bus, 0x100000, 16, handler, NULL), -ENOSPC);
}

static void print(struct serial *serial, const char *text)
{
	for (; *text; text++)
		serial_access(serial, 0, (void *)text, 1, true);
}

static void test_the_last_lines_of_the_serial_port(void **state)
{
	static struct serial serial;
	char out[64], line[32];
	uint8_t status = 0;

	(void)state;
	serial_init(&serial);
	serial_access(&serial, 5, &status, 1, false);
	assert_int_equal(status & 0x60, 0x60);
	print(&serial, "first\n\x01odd\n");
	serial_last_lines(&serial, out, sizeof(out));
	assert_string_equal(out, "first\n?odd\n");
	for (int i = 0; i < 2000; i++) {
		snprintf(line, sizeof(line), "line %d\n", i);
		print(&serial, line);
	}
	serial_last_lines(&serial, out, sizeof(out));
	assert_string_equal(out + strlen(out) - 10, "line 1999\n");
	assert_memory_equal(out, "line ", 5);
}

TESTS(cmocka_unit_test(test_an_access_reaches_its_device_and_no_other), cmocka_unit_test(test_ranges_do_not_overlap),
      cmocka_unit_test(test_the_last_lines_of_the_serial_port))
