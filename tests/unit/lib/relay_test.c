/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/relay.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/test.h"

static void finished(void *ctx)
{
	(*(int *)ctx)++;
}

static void make_pair(int pair[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
}

static void test_an_end_is_passed_on_and_the_other_way_goes_on(void **state)
{
	int left[2], right[2], done = 0;
	struct loop *loop;
	struct err err;
	char buf[8];

	(void)state;
	loop = loop_new(&err);
	make_pair(left);
	make_pair(right);
	assert_non_null(relay_new(loop, left[1], right[1], RELAY_BOTH, finished, &done, &err));
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

/* A pipe into a socket: when its process has ended, what is in it arrives although another writer keeps it open. */
static void test_one_direction_is_finished(void **state)
{
	int ends[2], right[2], done = 0;
	struct relay *relay;
	struct loop *loop;
	struct err err;
	char buf[8];

	(void)state;
	loop = loop_new(&err);
	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	make_pair(right);
	relay = relay_new(loop, ends[0], right[1], RELAY_THERE, finished, &done, &err);
	assert_non_null(relay);
	assert_int_equal(write(ends[1], "last", 4), 4);
	relay_finish(relay, RELAY_THERE);
	assert_int_equal(done, 1);
	assert_int_equal(read(right[0], buf, sizeof(buf)), 4);
	assert_int_equal(read(right[0], buf, sizeof(buf)), 0);
	close(ends[1]);
	close(right[0]);
	loop_free(loop);
}

static void test_directions_are_dropped(void **state)
{
	int left[2], right[2], done = 0;
	struct relay *relay;
	struct loop *loop;
	struct err err;
	char buf[8];

	(void)state;
	loop = loop_new(&err);
	make_pair(left);
	make_pair(right);
	relay = relay_new(loop, left[1], right[1], RELAY_BOTH, finished, &done, &err);
	assert_non_null(relay);
	relay_drop(relay, RELAY_THERE);
	assert_int_equal(done, 0);
	assert_int_equal(read(right[0], buf, sizeof(buf)), 0);
	relay_drop(relay, RELAY_BOTH);
	assert_int_equal(done, 1);
	assert_int_equal(read(left[0], buf, sizeof(buf)), 0);
	close(left[0]);
	close(right[0]);
	loop_free(loop);
}

TESTS(cmocka_unit_test(test_an_end_is_passed_on_and_the_other_way_goes_on), cmocka_unit_test(test_one_direction_is_finished),
      cmocka_unit_test(test_directions_are_dropped))
