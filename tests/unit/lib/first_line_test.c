/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/first_line.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/test.h"

static struct loop *loop;
static int theirs, calls, given;
static char said[16];

static void done(void *ctx, int fd, char *line)
{
	assert_ptr_equal(ctx, &calls);
	calls++;
	given = fd;
	snprintf(said, sizeof(said), "%s", line ? line : "nothing");
}

static int set_up(void **state)
{
	struct err err;
	int pair[2];

	(void)state;
	calls = 0;
	given = -1;
	loop = loop_new(&err);
	assert_non_null(loop);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	theirs = pair[0];
	assert_int_equal(first_line_read(loop, pair[1], 8, done, &calls, &err), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	close(given);
	close(theirs);
	loop_free(loop);
	return 0;
}

static void run_loop(void)
{
	for (int i = 0; i < 5; i++)
		assert_true(loop_step(loop, 0) >= 0);
}

static void they_say(const char *bytes)
{
	assert_int_equal(write(theirs, bytes, strlen(bytes)), strlen(bytes));
	run_loop();
}

static void test_a_line_in_parts_and_what_follows_it(void **state)
{
	char rest[8] = "";

	(void)state;
	they_say("12");
	assert_int_equal(calls, 0);
	they_say("34567\nrest");
	assert_int_equal(calls, 1);
	assert_string_equal(said, "1234567\n");
	assert_int_equal(read(given, rest, sizeof(rest) - 1), 4);
	assert_string_equal(rest, "rest");
}

static void test_a_line_that_is_too_long(void **state)
{
	(void)state;
	they_say("12345678\n");
	assert_int_equal(calls, 1);
	assert_string_equal(said, "nothing");
}

static void test_an_end_before_the_newline(void **state)
{
	(void)state;
	they_say("123");
	assert_int_equal(shutdown(theirs, SHUT_WR), 0);
	run_loop();
	assert_int_equal(calls, 1);
	assert_string_equal(said, "nothing");
}

TESTS(cmocka_unit_test_setup_teardown(test_a_line_in_parts_and_what_follows_it, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_a_line_that_is_too_long, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_an_end_before_the_newline, set_up, tear_down))
