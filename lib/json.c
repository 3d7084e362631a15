/* SPDX-License-Identifier: Apache-2.0 */
/* JSON fields by name. */
#include "lib/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"

static const char *type_name(json_type type)
{
	static const char *const names[] = {
		[JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array",	  [JSON_STRING] = "a string",
		[JSON_INTEGER] = "a number", [JSON_REAL] = "a fraction", [JSON_TRUE] = "a boolean",
		[JSON_FALSE] = "a boolean",  [JSON_NULL] = "null",
	};

	return names[type];
}

/*
 * jansson's integers are signed 64-bit; the spec has unsigned ones (RLIM_INFINITY is 18446744073709551615). Those above
 * INT64_MAX become the negative number with the same bits: a cast to uint64_t gives them back.
 */
static char *fold_unsigned(const char *text, size_t len, size_t *ret_len)
{
	char *out = malloc(2 * len + 1);
	bool in_string = false;
	size_t n = 0;

	for (size_t i = 0; out && i < len;) {
		size_t digits = 0;
		unsigned long long value;

		if (in_string && text[i] == '\\' && i + 1 < len) {
			out[n++] = text[i++];
		} else if (text[i] == '"') {
			in_string = !in_string;
		} else if (!in_string) {
			while (i + digits < len && text[i + digits] >= '0' && text[i + digits] <= '9')
				digits++;
		}
		if (digits < 19) {
			digits = digits ? digits : 1;
			memcpy(out + n, text + i, digits);
			n += digits;
			i += digits;
			continue;
		}
		errno = 0;
		value = digits < 30 ? strtoull(text + i, NULL, 10) : 0;
		if (digits < 30 && !errno && value > INT64_MAX && (i == 0 || !strchr("-.+eE", text[i - 1]))) {
			n += (size_t)sprintf(out + n, "%lld", (long long)value);
		} else {
			memcpy(out + n, text + i, digits);
			n += digits;
		}
		i += digits;
	}
	*ret_len = n;
	return out;
}

json_t *json_parse_object(const char *text, size_t len, const char *what, struct err *err)
{
	json_error_t error;
	auto_free char *folded = NULL;
	json_t *root;

	if (len > JSON_TEXT_MAX) {
		err_msg(err, EFBIG, "%s: longer than %d bytes", what, JSON_TEXT_MAX);
		return NULL;
	}
	folded = fold_unsigned(text, len, &len);
	if (!folded) {
		err_set(err, ENOMEM, "%s", what);
		return NULL;
	}
	root = json_loadb(folded, len, JSON_REJECT_DUPLICATES, &error);
	if (!root) {
		err_msg(err, EINVAL, "%s: not JSON: line %d, column %d: %s", what, error.line, error.column, error.text);
		return NULL;
	}
	if (!json_is_object(root)) {
		err_msg(err, EINVAL, "%s: expected an object, found %s", what, type_name(json_typeof(root)));
		json_decref(root);
		return NULL;
	}
	return root;
}

static bool same_type(json_type a, json_type b)
{
	return a == b || (a == JSON_TRUE && b == JSON_FALSE) || (a == JSON_FALSE && b == JSON_TRUE);
}

int json_field(const json_t *object, const char *where, const char *name, json_type type, bool required, json_t **ret,
	       struct err *err)
{
	json_t *value = json_object_get(object, name);
	const char *dot = *where ? "." : "";

	*ret = NULL;
	if (!value || json_is_null(value)) {
		if (required)
			return err_msg(err, EINVAL, "%s%s%s: missing, expected %s", where, dot, name, type_name(type));
		return 0;
	}
	if (!same_type(json_typeof(value), type))
		return err_msg(err, EINVAL, "%s%s%s: expected %s, found %s", where, dot, name, type_name(type),
			       type_name(json_typeof(value)));
	*ret = value;
	return 0;
}

const char *json_get_string(const json_t *object, const char *name, const char *fallback)
{
	const char *value = json_string_value(json_object_get(object, name));

	return value ? value : fallback;
}

int64_t json_get_integer(const json_t *object, const char *name, int64_t fallback)
{
	const json_t *value = json_object_get(object, name);

	return json_is_integer(value) ? (int64_t)json_integer_value(value) : fallback;
}

bool json_get_bool(const json_t *object, const char *name, bool fallback)
{
	const json_t *value = json_object_get(object, name);

	return json_is_boolean(value) ? json_is_true(value) : fallback;
}

const char **json_string_list(const json_t *array)
{
	const char **list = calloc(json_array_size(array) + 1, sizeof(*list));
	size_t n = 0;

	for (size_t i = 0; list && i < json_array_size(array); i++) {
		const char *text = json_string_value(json_array_get(array, i));

		if (text)
			list[n++] = text;
	}
	return list;
}
