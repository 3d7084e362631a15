/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/socket_greeting.h"

#include <errno.h>

#include "tests/unit/test.h"

static void test_what_is_written_is_read(void **state)
{
	struct socket_greeting greeting = { .socket = 7, .uid = 1000, .gid = 0, .groups = { 5, 4294967294U }, .ngroups = 2 }, read;
	char line[SOCKET_GREETING_MAX + 1];
	size_t len = socket_greeting_write(line, &greeting);

	(void)state;
	assert_string_equal(line, "7 1000 0 5 4294967294\n");
	assert_int_equal(socket_greeting_read(&read, line, len), 0);
	assert_int_equal(read.socket, 7);
	assert_false(read.in_directory);
	assert_int_equal(read.uid, 1000);
	assert_int_equal(read.gid, 0);
	assert_int_equal(read.ngroups, 2);
	assert_int_equal(read.groups[0], 5);
	assert_int_equal(read.groups[1], 4294967294U);
}

static void test_the_longest_line_fits(void **state)
{
	struct socket_greeting greeting = { true, UINT64_MAX - 1, 4294967294U, 4294967294U, .ngroups = SOCKET_GREETING_GROUPS_MAX }, read;
	char line[SOCKET_GREETING_MAX + 1];
	size_t len;

	(void)state;
	for (size_t i = 0; i < greeting.ngroups; i++)
		greeting.groups[i] = 4294967294U;
	len = socket_greeting_write(line, &greeting);
	assert_int_equal(len, SOCKET_GREETING_MAX);
	assert_int_equal(socket_greeting_read(&read, line, len), 0);
	assert_int_equal(read.ngroups, SOCKET_GREETING_GROUPS_MAX);
	assert_true(read.in_directory);
	assert_true(read.socket == UINT64_MAX - 1);
	/* One group more. */
	line[len - 1] = ' ';
	assert_int_equal(socket_greeting_read(&read, line, len), -EINVAL);
}

static void test_anything_else_is_refused(void **state)
{
	static const char *const lines[] = {
		"", "\n", "1\n", "1 2\n", "1 2 3", "1 2 3 \n", " 1 2 3\n", "1  2 3\n", "-1 0 0\n", "+1 0 0\n", "1 2 3x\n", "1 2 0x3\n",
		"4294967295 0 0\n", "i18446744073709551615 0 0\n", "i99999999999999999999 0 0\n", "i", "i\n", "i 1 2 3\n", "ii1 2 3\n", "1 i2 3\n",
		"1 4294967295 0\n", "1 0 4294967295\n", "1 0 0 4294967295\n", "1 0 18446744073709551616\n", "1 2 3\n4", "1\t2\t3\n",
	};
	struct socket_greeting greeting;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		assert_int_equal(socket_greeting_read(&greeting, lines[i], strlen(lines[i])), -EINVAL);
	assert_int_equal(socket_greeting_read(&greeting, "1 2 3\0 4\n", 9), -EINVAL);
}

TESTS(cmocka_unit_test(test_what_is_written_is_read), cmocka_unit_test(test_the_longest_line_fits),
      cmocka_unit_test(test_anything_else_is_refused))
