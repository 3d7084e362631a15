/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/loop.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/epoll.h>

#include "tests/unit/test.h"

struct pair {
	struct loop *loop;
	int a[2], b[2];
	int calls;
	bool waits; /* a handler waits for something else in the loop */
};

/* Whoever comes first takes the other away: its event, already fetched, must not arrive. */
static void remove_both(void *ctx, uint32_t events)
{
	struct pair *pair = ctx;

	(void)events;
	pair->calls++;
	loop_remove(pair->loop, pair->a[0]);
	loop_remove(pair->loop, pair->b[0]);
	if (pair->waits)
		assert_int_equal(loop_step(pair->loop, 0), 0);
}

static void remove_within_a_batch(bool waits)
{
	struct err err;
	struct pair pair = { .loop = loop_new(&err), .waits = waits };

	assert_int_equal(pipe(pair.a), 0);
	assert_int_equal(pipe(pair.b), 0);
	assert_int_equal(loop_add(pair.loop, pair.a[0], EPOLLIN, remove_both, &pair, &err), 0);
	assert_int_equal(loop_add(pair.loop, pair.b[0], EPOLLIN, remove_both, &pair, &err), 0);
	assert_int_equal(write(pair.a[1], "x", 1), 1);
	assert_int_equal(write(pair.b[1], "x", 1), 1);
	assert_int_equal(loop_step(pair.loop, 1000), 2);
	assert_int_equal(pair.calls, 1);
	assert_int_equal(loop_step(pair.loop, 0), 0);
	loop_free(pair.loop);
	for (int i = 0; i < 2; i++) {
		close(pair.a[i]);
		close(pair.b[i]);
	}
}

static void test_a_handler_may_remove_sources_of_the_same_batch(void **state)
{
	(void)state;
	remove_within_a_batch(false);
}

/* What the outer batch still names must be there after the inner one. */
static void test_and_wait_in_the_loop_then(void **state)
{
	(void)state;
	remove_within_a_batch(true);
}

static void test_a_file_cannot_be_watched(void **state)
{
	struct err err;
	struct loop *loop = loop_new(&err);
	int fd = open("/proc/self/exe", O_RDONLY);

	(void)state;
	assert_int_equal(loop_add(loop, fd, EPOLLIN, remove_both, NULL, &err), -EPERM);
	close(fd);
	loop_free(loop);
}

TESTS(cmocka_unit_test(test_a_handler_may_remove_sources_of_the_same_batch), cmocka_unit_test(test_and_wait_in_the_loop_then),
      cmocka_unit_test(test_a_file_cannot_be_watched))
