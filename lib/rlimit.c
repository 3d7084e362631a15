/* SPDX-License-Identifier: Apache-2.0 */
/* The resource limits of process.rlimits. */
#include "lib/rlimit.h"

#include <string.h>

#include "lib/cleanup.h"

const struct rlimit_kind rlimit_kinds[] = {
	{ "RLIMIT_AS", RLIMIT_AS },		{ "RLIMIT_CORE", RLIMIT_CORE },
	{ "RLIMIT_CPU", RLIMIT_CPU },		{ "RLIMIT_DATA", RLIMIT_DATA },
	{ "RLIMIT_FSIZE", RLIMIT_FSIZE },	{ "RLIMIT_LOCKS", RLIMIT_LOCKS },
	{ "RLIMIT_MEMLOCK", RLIMIT_MEMLOCK },	{ "RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE },
	{ "RLIMIT_NICE", RLIMIT_NICE },		{ "RLIMIT_NOFILE", RLIMIT_NOFILE },
	{ "RLIMIT_NPROC", RLIMIT_NPROC },	{ "RLIMIT_RSS", RLIMIT_RSS },
	{ "RLIMIT_RTPRIO", RLIMIT_RTPRIO },	{ "RLIMIT_RTTIME", RLIMIT_RTTIME },
	{ "RLIMIT_SIGPENDING", RLIMIT_SIGPENDING }, { "RLIMIT_STACK", RLIMIT_STACK },
};

const size_t rlimit_kind_count = ARRAY_SIZE(rlimit_kinds);

int rlimit_number(const char *name)
{
	for (size_t i = 0; i < rlimit_kind_count; i++)
		if (!strcmp(rlimit_kinds[i].name, name))
			return rlimit_kinds[i].number;
	return -1;
}

rlim_t rlimit_value(const json_t *value)
{
	if (json_is_real(value))
		return RLIM_INFINITY;
	return json_integer_value(value) < 0 ? RLIM_INFINITY : (rlim_t)json_integer_value(value);
}
