/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/environment.h"

#include "tests/unit/test.h"

static size_t count(char **list)
{
	size_t n = 0;

	while (list[n])
		n++;
	return n;
}

static void test_the_last_value_of_a_variable_counts(void **state)
{
	json_t *process = json_pack("{s:[s,s,s,s,s]}", "env", "PATH=/bin", "A=1", "HOME=/h", "PATH=/usr/bin", "A");
	char **list = environment_make(process);

	(void)state;
	assert_non_null(list);
	assert_int_equal(count(list), 3);
	assert_string_equal(list[0], "HOME=/h");
	assert_string_equal(list[1], "PATH=/usr/bin");
	assert_string_equal(list[2], "A");
	assert_string_equal(environment_find(process, "PATH", ""), "/usr/bin");
	free(list);
	json_decref(process);
}

static void test_home_is_added_if_it_is_missing(void **state)
{
	json_t *process = json_pack("{s:[s], s:{s:i}}", "env", "HOMES=x", "user", "uid", 4000000);
	char **list = environment_make(process);

	(void)state;
	assert_non_null(list);
	assert_int_equal(count(list), 2);
	assert_string_equal(list[0], "HOMES=x");
	assert_string_equal(list[1], "HOME=/");
	free(list);
	json_decref(process);
}

static void test_no_env_at_all(void **state)
{
	json_t *process = json_pack("{s:{s:i}}", "user", "uid", 4000000);
	char **list = environment_make(process);

	(void)state;
	assert_non_null(list);
	assert_int_equal(count(list), 1);
	assert_string_equal(list[0], "HOME=/");
	assert_string_equal(environment_find(process, "HOME", "none"), "none");
	free(list);
	json_decref(process);
}

TESTS(cmocka_unit_test(test_the_last_value_of_a_variable_counts), cmocka_unit_test(test_home_is_added_if_it_is_missing),
      cmocka_unit_test(test_no_env_at_all))
