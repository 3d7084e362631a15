/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/batch.h"

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/io.h"
#include "tests/unit/test.h"

static int policy(void)
{
	return sched_getscheduler(0);
}

/* Steps until the policy is another one. Returns the time that it took, in ms. */
static int64_t wait_for_policy(struct loop *loop, int wanted)
{
	int64_t start = io_now_ms();

	while (policy() != wanted && io_now_ms() < start + 10000)
		assert_true(loop_step(loop, 100) >= 0);
	assert_int_equal(policy(), wanted);
	return io_now_ms() - start;
}

static void test_it_lasts_while_pieces_come(void **state)
{
	struct err err;
	struct loop *loop = loop_new(&err);
	int64_t start;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(policy(), SCHED_OTHER);
		for (start = io_now_ms(); io_now_ms() < start + 350;) {
			batch_piece_moved(loop);
			assert_int_equal(policy(), SCHED_BATCH);
			assert_true(loop_step(loop, 10) >= 0);
		}
		assert_int_equal(policy(), SCHED_BATCH);
		assert_true(wait_for_policy(loop, SCHED_OTHER) >= 50);
	}
	/* No timer is left. */
	assert_int_equal(loop_step(loop, 250), 0);
	loop_free(loop);
}

static void test_a_child_ends_it_for_itself(void **state)
{
	struct err err;
	struct loop *loop = loop_new(&err);
	int status;
	pid_t pid;

	(void)state;
	batch_piece_moved(loop);
	pid = fork();
	if (pid == 0) {
		batch_end_in_child();
		_exit(sched_getscheduler(0) == SCHED_OTHER ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(policy(), SCHED_BATCH);
	wait_for_policy(loop, SCHED_OTHER);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_lasts_while_pieces_come),
		cmocka_unit_test(test_a_child_ends_it_for_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
