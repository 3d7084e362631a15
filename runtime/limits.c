/* SPDX-License-Identifier: Apache-2.0 */
/* Resource limits that config.json does not set. */
#include "runtime/limits.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "lib/json.h"
#include "lib/rlimit.h"

static bool is_set(const json_t *limits, const char *name)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(limits, i, entry)
		if (!strcmp(json_get_string(entry, "type", ""), name))
			return true;
	return false;
}

static json_t *to_json(rlim_t value)
{
	return json_integer(value == RLIM_INFINITY ? -1 : (json_int_t)value);
}

static int inherit(json_t *limits, const struct rlimit_kind *kind, struct err *err)
{
	struct rlimit limit;

	if (is_set(limits, kind->name))
		return 0;
	if (getrlimit((__rlimit_resource_t)kind->number, &limit) < 0)
		return err_set(err, errno, "%s", kind->name);
	/* Engines' units have "infinity". */
	if (kind->number == RLIMIT_NOFILE && limit.rlim_max > RLIMIT_GUEST_FILES)
		limit.rlim_max = RLIMIT_GUEST_FILES;
	if (limit.rlim_cur > limit.rlim_max)
		limit.rlim_cur = limit.rlim_max;
	return json_array_append_new(limits, json_pack("{s:s, s:o, s:o}", "type", kind->name, "soft", to_json(limit.rlim_cur), "hard",
						       to_json(limit.rlim_max))) < 0 ?
		       err_set(err, ENOMEM, "%s", kind->name) :
		       0;
}

int limits_inherit(json_t *process, struct err *err)
{
	json_t *limits = json_object_get(process, "rlimits");
	int ret = 0;

	if (!json_is_array(limits)) {
		limits = json_array();
		if (json_object_set_new(process, "rlimits", limits) < 0)
			return err_set(err, ENOMEM, "process.rlimits");
	}
	for (size_t i = 0; i < rlimit_kind_count && ret == 0; i++)
		ret = inherit(limits, &rlimit_kinds[i], err);
	return ret;
}
