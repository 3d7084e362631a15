/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/relay.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/test.h"

static void finished(void *ctx)
{
	(*(int *)ctx)++;
}

static void test_an_end_is_passed_on_and_the_other_way_goes_on(void **state)
{
	int left[2], right[2], done = 0;
	struct loop *loop;
	struct err err;
	char buf[8];

	(void)state;
	loop = loop_new(&err);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, left), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, right), 0);
	assert_non_null(relay_new(loop, left[1], right[1], finished, &done, &err));
	assert_int_equal(write(left[0], "ask", 3), 3);
	assert_int_equal(shutdown(left[0], SHUT_WR), 0);
	for (int i = 0; i < 10; i++)
		assert_true(loop_step(loop, 0) >= 0);
	assert_int_equal(read(right[0], buf, sizeof(buf)), 3);
	assert_int_equal(read(right[0], buf, sizeof(buf)), 0);
	assert_int_equal(done, 0);
	assert_int_equal(write(right[0], "answer", 6), 6);
	close(right[0]);
	for (int i = 0; i < 10; i++)
		assert_true(loop_step(loop, 0) >= 0);
	assert_int_equal(read(left[0], buf, sizeof(buf)), 6);
	assert_int_equal(read(left[0], buf, sizeof(buf)), 0);
	assert_int_equal(done, 1);
	close(left[0]);
	loop_free(loop);
}

TESTS(cmocka_unit_test(test_an_end_is_passed_on_and_the_other_way_goes_on))
