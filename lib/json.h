/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON with limits, and fields by name with error texts that name the field. Values are jansson's; those that getters
 * return are borrowed from the object.
 */
#ifndef LIB_JSON_H
#define LIB_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

#define JSON_TEXT_MAX (16 << 20)

/* The object in text (json_decref it), or NULL: not JSON, not an object, or longer than JSON_TEXT_MAX. */
json_t *json_parse_object(const char *text, size_t len, const char *what, struct err *err);

/*
 * Field `name` of object, which stands at `where` in the document ("" for the top, else "process" and so on). Absent
 * (or null): *ret is NULL if it is optional, an error if it is required. Of another type: an error in every case.
 */
int json_field(const json_t *object, const char *where, const char *name, json_type type, bool required, json_t **ret,
	       struct err *err) must_check;

/* Lenient getters for documents that were checked before: the fallback when absent or of another type. */
const char *json_get_string(const json_t *object, const char *name, const char *fallback);
int64_t json_get_integer(const json_t *object, const char *name, int64_t fallback);
bool json_get_bool(const json_t *object, const char *name, bool fallback);

/* A NULL-terminated array of the strings in array (others are left out), borrowed strings; free() the array. */
const char **json_string_list(const json_t *array);

#endif
