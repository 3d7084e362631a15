/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/state.h"

#include <fcntl.h>
#include <sys/wait.h>

#include "lib/io.h"
#include "tests/unit/test.h"

static char root[64];

static int set_up(void **state)
{
	(void)state;
	strcpy(root, "/tmp/cella-state-test.XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int tear_down(void **state)
{
	struct err err;

	(void)state;
	return io_remove_tree(AT_FDCWD, root, &err);
}

static void test_ids(void **state)
{
	static const char *const good[] = { "a", "web-1", "A_b.c+d", "0123456789abcdef" };
	static const char *const bad[] = { "", ".", "..", "a/b", "../x", "a b", "a\n", "\xc3\xa4", "a;b", "$(x)" };
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(state_check_id(good[i], &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_true(state_check_id(bad[i], &err) < 0);
}

static void test_a_second_container_of_that_name_is_refused(void **state)
{
	struct state first, second;
	struct err err;

	(void)state;
	assert_int_equal(state_create(&first, root, "c", &err), 0);
	assert_true(state_create(&second, root, "c", &err) < 0);
	assert_non_null(strstr(err.msg, "already exists"));
	assert_int_equal(state_remove(&first, &err), 0);
	state_close(&first);
	assert_int_equal(state_open(&second, root, "c", &err), -ENOENT);
	assert_non_null(strstr(err.msg, "does not exist"));
}

static int join(struct state *state, const char *id)
{
	struct err err;

	return state_create(state, root, id, &err) == 0 ? state_join_vm(state, root, "owner", &err) : -1;
}

/* The VM's owner has number 0; whoever gives one back makes room for the next. */
static void test_networks_of_a_vm(void **state)
{
	struct state owner, a, b, shares, found;
	struct err err;

	(void)state;
	assert_int_equal(state_create(&owner, root, "owner", &err), 0);
	assert_true(join(&a, "a") == 0 && join(&b, "b") == 0 && join(&shares, "shares") == 0);
	assert_int_equal(state_take_network(&a, &err), 0);
	assert_int_equal(state_take_network(&b, &err), 0);
	assert_int_equal(state_share_network(&shares, a.network, &err), 0);
	assert_int_equal(owner.network, 0);
	assert_int_equal(a.network, 1);
	assert_int_equal(b.network, 2);
	assert_int_equal(state_open(&found, root, "shares", &err), 0);
	assert_true(found.network == 1 && !found.owns_network);
	state_leave_network(&found); /* not its own */
	state_close(&found);
	assert_int_equal(state_open(&found, root, "b", &err), 0);
	assert_true(found.network == 2 && found.owns_network);
	state_close(&found);
	state_leave_network(&a);
	assert_int_equal(state_take_network(&shares, &err), 0);
	assert_int_equal(shares.network, 1);
	state_close(&owner);
	state_close(&a);
	state_close(&b);
	state_close(&shares);
}

/* A reused pid is another process: the start time tells. */
static void test_a_process_is_identified_by_its_start(void **state)
{
	struct process_id id, other;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		pause();
		_exit(0);
	}
	assert_int_equal(process_identify(pid, &id), 0);
	assert_true(process_alive(&id));
	other = id;
	other.start_time++;
	assert_false(process_alive(&other));
	process_kill_wait(&other, 100);
	assert_true(process_alive(&id));
	process_kill_wait(&id, 1000);
	assert_false(process_alive(&id));
	waitpid(pid, NULL, 0);
	assert_int_equal(process_identify(pid, &id), -ESRCH);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

TESTS(T(test_ids), T(test_a_second_container_of_that_name_is_refused), T(test_networks_of_a_vm),
      T(test_a_process_is_identified_by_its_start))
