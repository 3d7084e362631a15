/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/processes.h"

#include <sys/prctl.h>
#include <sys/wait.h>

#include "tests/unit/test.h"

static const char status_text[] = "Name:\ta\nState:\tS (sleeping)\nPid:\t70\nPPid:\t60\nUid:\t0\t1\t2\t3\nGid:\t4\t5\t6\t7\n"
				  "Groups:\t8 9 \nNStgid:\t70\t7\t1\nNSpid:\t70\t7\t1\nNSpgid:\t60\t6\t0\nNSsid:\t50\t5\t0\n"
				  "CapInh:\t0000000000000000\nCapPrm:\t000001ffffffffff\nCapEff:\t0000000000000020\n"
				  "CapBnd:\t0000000000000001\nCapAmb:\t0000000000000002\nNoNewPrivs:\t1\nSeccomp:\t2\n";
static const char stat_text[] = "70 (a) (b\n) S 60 60 50 34816 70 4194304 1 2 3 4 150 60 7 8 20 -5 3 0 900 4096000 250 99 1 1 0\n";

static Cella__Agent__Process *new_process(void)
{
	Cella__Agent__Process *process = malloc(sizeof(*process));

	assert_non_null(process);
	cella__agent__process__init(process);
	return process;
}

static int parse_status(const char *text, size_t level, Cella__Agent__Process *process)
{
	auto_free char *copy = strdup(text);

	return processes_parse_status(copy, level, process);
}

static int parse_stat(const char *text, Cella__Agent__Process *process)
{
	auto_free char *copy = strdup(text);

	return processes_parse_stat(copy, 1000, process);
}

static void test_numbers_are_those_of_the_level(void **state)
{
	Cella__Agent__Process *process = new_process();

	(void)state;
	assert_int_equal(parse_status(status_text, 1, process), 0);
	assert_int_equal(process->pid, 7);
	assert_int_equal(process->group, 6);
	assert_int_equal(process->session, 5);
	assert_int_equal(process->uids[1], 1);
	assert_int_equal(process->gids[3], 7);
	assert_int_equal(process->n_groups, 2);
	assert_int_equal(process->groups[1], 9);
	assert_int_equal(process->n_capabilities, 5);
	assert_int_equal(process->capabilities[1], 0x1ffffffffff);
	assert_int_equal(process->capabilities[4], 2);
	assert_int_equal(process->seccomp, 2);
	assert_true(process->no_new_privileges);
	cella__agent__process__free_unpacked(process, NULL);
}

static void test_a_name_may_have_anything_in_it(void **state)
{
	Cella__Agent__Process *process = new_process();

	(void)state;
	assert_int_equal(parse_stat(stat_text, process), 0);
	assert_int_equal(process->name.len, 6);
	assert_memory_equal(process->name.data, "a) (b\n", 6);
	assert_int_equal(process->state, 'S');
	assert_int_equal(process->parent, 60);
	assert_int_equal(process->terminal, 34816);
	assert_int_equal(process->user_time, 150);
	assert_int_equal(process->system_time, 60);
	assert_int_equal(process->nice, -5);
	assert_int_equal(process->threads, 3);
	assert_int_equal(process->age, 100);
	assert_int_equal(process->virtual_bytes, 4096000);
	assert_int_equal(process->resident_pages, 250);
	cella__agent__process__free_unpacked(process, NULL);
}

static void test_what_is_no_such_file_is_refused(void **state)
{
	static const char *const statuses[] = { "", "\n", "NSpid:\t5\nUid:\t1\t1\t1\t1\nGid:\t1\t1\t1\t1\n", "NSpid:\t5\t1\nUid:\t1\nGid:\t1\t1\t1\t1\n",
						"NSpid:\t5\t1\n", "NSpid\t5\t1\n:" };
	static const char *const stats[] = { "", "1", "1 (a", "1 a)", "1 )a(", "1 (a)", "1 (a) S 1 2 3" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		Cella__Agent__Process *process = new_process();

		assert_int_equal(parse_status(statuses[i], 1, process), -EPROTO);
		cella__agent__process__free_unpacked(process, NULL);
	}
	for (size_t i = 0; i < ARRAY_SIZE(stats); i++) {
		Cella__Agent__Process *process = new_process();

		assert_int_equal(parse_stat(stats[i], process), -EPROTO);
		cella__agent__process__free_unpacked(process, NULL);
	}
}

/* The real /proc: this process and a child of it. */
static void test_a_child_is_found(void **state)
{
	Cella__Agent__DescribeProcessesResponse *all;
	const Cella__Agent__Process *found = NULL;
	int ends[2];
	char byte;
	struct err err;
	pid_t child;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		close(ends[1]);
		_exit((int)read(ends[0], &byte, 1));
	}
	prctl(PR_SET_NAME, "i am (it)\n");
	all = processes_describe(getpid(), &err);
	assert_non_null(all);
	for (size_t i = 0; i < all->n_processes; i++) {
		if (i)
			assert_true(all->processes[i]->pid > all->processes[i - 1]->pid);
		if (all->processes[i]->pid == child)
			assert_int_equal(all->processes[i]->parent, getpid());
		if (all->processes[i]->pid == getpid())
			found = all->processes[i];
	}
	assert_non_null(found);
	assert_int_equal(found->name.len, 10);
	assert_memory_equal(found->name.data, "i am (it)\n", 10);
	assert_int_equal(found->uids[1], geteuid());
	assert_non_null(strstr((char *)found->command_line.data, "processes_test"));
	cella__agent__describe_processes_response__free_unpacked(all, NULL);
	close(ends[0]);
	close(ends[1]);
	waitpid(child, NULL, 0);
}

static void test_a_container_without_process(void **state)
{
	struct err err;

	(void)state;
	assert_null(processes_describe(0, &err));
	assert_int_equal(err.code, ESRCH);
}

TESTS(cmocka_unit_test(test_numbers_are_those_of_the_level), cmocka_unit_test(test_a_name_may_have_anything_in_it),
      cmocka_unit_test(test_what_is_no_such_file_is_refused), cmocka_unit_test(test_a_child_is_found),
      cmocka_unit_test(test_a_container_without_process))
