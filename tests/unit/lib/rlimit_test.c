/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/rlimit.h"

#include <sys/resource.h>

#include "lib/capability.h"
#include "tests/unit/test.h"

static rlim_t parse(const char *text)
{
	json_t *value = json_loads(text, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL * (strlen(text) > 18), NULL);
	rlim_t limit;

	assert_non_null(value);
	limit = rlimit_value(value);
	json_decref(value);
	return limit;
}

static void test_names(void **state)
{
	(void)state;
	assert_int_equal(rlimit_number("RLIMIT_NOFILE"), RLIMIT_NOFILE);
	assert_int_equal(rlimit_number("RLIMIT_RTTIME"), RLIMIT_RTTIME);
	assert_int_equal(rlimit_number("NOFILE"), -1);
	assert_int_equal(rlimit_number(""), -1);
}

/* Engines write "unlimited" as 2^64 - 1, which JSON libraries read as a real or as -1. */
static void test_values(void **state)
{
	(void)state;
	assert_true(parse("1024") == 1024);
	assert_true(parse("0") == 0);
	assert_true(parse("-1") == RLIM_INFINITY);
	assert_true(parse("18446744073709551615") == RLIM_INFINITY);
	assert_true(parse("9223372036854775807") != 0);
}

static void test_capability_names(void **state)
{
	(void)state;
	assert_int_equal(capability_number("CAP_CHOWN"), 0);
	assert_int_equal(capability_number("CAP_SYS_ADMIN"), 21);
	assert_int_equal(capability_number("CAP_CHECKPOINT_RESTORE"), 40);
	assert_int_equal(capability_number("SYS_ADMIN"), -1);
	assert_int_equal(capability_number("CAP_"), -1);
	for (size_t i = 0; i < capability_count; i++)
		assert_int_equal(capability_number(capability_names[i]), (int)i);
}

TESTS(cmocka_unit_test(test_names), cmocka_unit_test(test_values), cmocka_unit_test(test_capability_names))
