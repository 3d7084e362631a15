/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/options.h"

#include "tests/unit/test.h"

struct target {
	bool flag;
	const char *text;
	long number;
	struct option_list list;
};

static const struct option table[] = {
	{ "flag", 'f', OPTION_FLAG, offsetof(struct target, flag), "a flag" },
	{ "text", 't', OPTION_STRING, offsetof(struct target, text), "a text" },
	{ "number", 0, OPTION_NUMBER, offsetof(struct target, number), "a number" },
	{ "list", 'l', OPTION_LIST, offsetof(struct target, list), "several" },
};

static int parse(struct target *target, struct err *err, const char *const *args)
{
	char *argv[16];
	int argc = 0;

	memset(target, 0, sizeof(*target));
	while (args[argc]) {
		argv[argc] = (char *)args[argc];
		argc++;
	}
	argv[argc] = NULL;
	return options_parse(table, ARRAY_SIZE(table), target, argc, argv, err);
}

#define PARSE(...) parse(&target, &err, (const char *const[]){ "cmd", __VA_ARGS__, NULL })

/* The ways in which runc's callers write options (Go's flag packages): one or two dashes, "=" or the next argument. */
static void test_all_spellings(void **state)
{
	struct target target;
	struct err err;

	(void)state;
	assert_int_equal(PARSE("--flag", "--text", "a", "--number=7", "id"), 5);
	assert_true(target.flag);
	assert_string_equal(target.text, "a");
	assert_int_equal(target.number, 7);
	assert_int_equal(PARSE("-f", "-t", "b", "id"), 4);
	assert_string_equal(target.text, "b");
	assert_int_equal(PARSE("-text", "c", "id"), 3);
	assert_string_equal(target.text, "c");
	assert_int_equal(PARSE("-l", "1", "--list=2", "id"), 4);
	assert_int_equal(target.list.n, 2);
	assert_string_equal(target.list.values[1], "2");
	assert_int_equal(PARSE("--text=", "id"), 2);
	assert_string_equal(target.text, "");
}

static void test_what_follows_the_first_argument_is_not_ours(void **state)
{
	struct target target;
	struct err err;

	(void)state;
	assert_int_equal(PARSE("id", "--flag"), 1);
	assert_false(target.flag);
	assert_int_equal(PARSE("--", "--flag"), 2);
	assert_false(target.flag);
}

static void test_errors_name_the_option(void **state)
{
	struct target target;
	struct err err;

	(void)state;
	assert_true(PARSE("--unknown", "id") < 0);
	assert_non_null(strstr(err.msg, "unknown"));
	assert_true(PARSE("--text") < 0);
	assert_non_null(strstr(err.msg, "text"));
	assert_true(PARSE("--number", "seven", "id") < 0);
	assert_non_null(strstr(err.msg, "number"));
	assert_true(PARSE("--number=99999999999999999999", "id") < 0);
}

TESTS(cmocka_unit_test(test_all_spellings), cmocka_unit_test(test_what_follows_the_first_argument_is_not_ours),
      cmocka_unit_test(test_errors_name_the_option))
