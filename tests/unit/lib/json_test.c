/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/json.h"

#include "tests/unit/test.h"

static json_t *parse(const char *text, struct err *err)
{
	return json_parse_object(text, strlen(text), "doc", err);
}

static void test_unsigned_numbers_keep_their_bits(void **state)
{
	struct err err;
	json_t *doc = parse("{\"a\":18446744073709551615,\"b\":9223372036854775808,\"c\":9223372036854775807,\"s\":\"18446744073709551615\"}", &err);

	(void)state;
	assert_non_null(doc);
	assert_true((uint64_t)json_get_integer(doc, "a", 0) == UINT64_MAX);
	assert_true((uint64_t)json_get_integer(doc, "b", 0) == 1ULL << 63);
	assert_true(json_get_integer(doc, "c", 0) == INT64_MAX);
	assert_string_equal(json_get_string(doc, "s", ""), "18446744073709551615");
	json_decref(doc);
}

static void test_what_is_not_an_object_is_refused(void **state)
{
	static const char *const bad[] = { "", "[]", "1", "{", "{\"a\":1,\"a\":2}", "{\"a\":99999999999999999999999999}", "{\"a\":\"\\", "null" };
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_null(parse(bad[i], &err));
		assert_true(strlen(err.msg) > 0);
	}
}

static void test_a_field_of_the_wrong_type_is_named(void **state)
{
	struct err err;
	json_t *doc = parse("{\"args\":\"sh\"}", &err), *value;

	(void)state;
	assert_int_equal(json_field(doc, "process", "args", JSON_ARRAY, true, &value, &err), -EINVAL);
	assert_string_equal(err.msg, "process.args: expected an array, found a string");
	assert_int_equal(json_field(doc, "process", "cwd", JSON_STRING, true, &value, &err), -EINVAL);
	assert_string_equal(err.msg, "process.cwd: missing, expected a string");
	assert_int_equal(json_field(doc, "process", "cwd", JSON_STRING, false, &value, &err), 0);
	assert_null(value);
	json_decref(doc);
}

TESTS(cmocka_unit_test(test_unsigned_numbers_keep_their_bits), cmocka_unit_test(test_what_is_not_an_object_is_refused),
      cmocka_unit_test(test_a_field_of_the_wrong_type_is_named))
