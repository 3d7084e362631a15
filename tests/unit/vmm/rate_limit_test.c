/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/rate_limit.h"

#include <time.h>

#include "tests/unit/test.h"

static struct rate_limit limit;
static int woken;

static void ready(void *ctx, uint32_t events)
{
	(void)ctx;
	(void)events;
	rate_limit_wake(&limit);
	woken++;
}

static int64_t elapsed_ms(const struct timespec *since)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - since->tv_sec) * 1000 + (now.tv_nsec - since->tv_nsec) / 1000000;
}

static void test_no_limit_is_always_open(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(rate_limit_init(&limit, 0, NULL, ready, NULL, &err), 0);
	rate_limit_spend(&limit, SIZE_MAX / 4);
	assert_true(rate_limit_open(&limit));
	rate_limit_done(&limit);
}

/* 1 MB/s: 300 kB cost the tenth of a second that is in the bucket and two more. */
static void test_a_debt_is_made_up_for(void **state)
{
	struct timespec start;
	struct loop *loop;
	struct err err;

	(void)state;
	loop = loop_new(&err);
	assert_int_equal(rate_limit_init(&limit, 1000000, loop, ready, NULL, &err), 0);
	clock_gettime(CLOCK_MONOTONIC, &start);
	assert_true(rate_limit_open(&limit));
	rate_limit_spend(&limit, 300000);
	assert_false(rate_limit_open(&limit));
	woken = 0;
	while (!woken)
		assert_true(loop_step(loop, 5000) >= 0);
	assert_true(rate_limit_open(&limit));
	assert_true(elapsed_ms(&start) >= 199);
	rate_limit_done(&limit);
	loop_free(loop);
}

/* Time that passed without traffic is not saved up. */
static void test_the_bucket_does_not_overflow(void **state)
{
	struct loop *loop;
	struct err err;

	(void)state;
	loop = loop_new(&err);
	assert_int_equal(rate_limit_init(&limit, 1000000, loop, ready, NULL, &err), 0);
	limit.filled_ns -= 7200LL * 1000000000;
	limit.tokens = 0;
	assert_true(rate_limit_open(&limit));
	assert_int_equal(limit.tokens, 100000);
	limit.filled_ns -= 60LL * 1000000000;
	limit.tokens = -5;
	assert_true(rate_limit_open(&limit));
	assert_int_equal(limit.tokens, 100000);
	rate_limit_done(&limit);
	loop_free(loop);
}

/* Being asked all the time must not make it stand still: what is less than a byte is kept. */
static void test_fractions_add_up(void **state)
{
	struct timespec start;
	struct loop *loop;
	struct err err;

	(void)state;
	loop = loop_new(&err);
	assert_int_equal(rate_limit_init(&limit, 10000, loop, ready, NULL, &err), 0);
	rate_limit_spend(&limit, 2000);
	clock_gettime(CLOCK_MONOTONIC, &start);
	while (!rate_limit_open(&limit))
		assert_true(elapsed_ms(&start) < 3000);
	assert_true(elapsed_ms(&start) >= 99);
	rate_limit_done(&limit);
	loop_free(loop);
}

TESTS(cmocka_unit_test(test_no_limit_is_always_open), cmocka_unit_test(test_a_debt_is_made_up_for),
      cmocka_unit_test(test_the_bucket_does_not_overflow), cmocka_unit_test(test_fractions_add_up))
