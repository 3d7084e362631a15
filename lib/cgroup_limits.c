/* SPDX-License-Identifier: Apache-2.0 */
/* How the spec's numbers, which are those of v1, map to cgroup v2's files. */
#include "lib/cgroup_limits.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/json.h"

static const struct {
	const char *prefix;
	unsigned int controller;
} controllers_by_file[] = {
	{ "cpu.", CGROUP_CPU },	  { "cpuset.", CGROUP_CPUSET }, { "memory.", CGROUP_MEMORY },
	{ "pids.", CGROUP_PIDS }, { "io.", CGROUP_IO },		{ "hugetlb.", CGROUP_HUGETLB },
};

/* What is to be limited, and which part of it. */
struct target {
	const struct cgroup *cgroup;
	unsigned int controllers;
};

/* Writes one limit, unless it is not of the controllers that are wanted. */
static int limit(const struct target *target, const char *file, const char *value, struct err *err)
{
	unsigned int controller = CGROUP_OTHER;

	for (size_t i = 0; i < ARRAY_SIZE(controllers_by_file); i++)
		if (!strncmp(file, controllers_by_file[i].prefix, strlen(controllers_by_file[i].prefix)))
			controller = controllers_by_file[i].controller;
	return target->controllers & controller ? cgroup_write(target->cgroup, file, value, err) : 0;
}

/* One number of the spec into one file. convert: NULL writes the number, -1 as "max". */
struct knob {
	const char *section, *field, *file;
	int (*convert)(const json_t *section, int64_t value, char *out, size_t size);
};

uint64_t cgroup_cpu_weight(int64_t shares)
{
	if (shares < 2)
		shares = 2;
	if (shares > 262144)
		shares = 262144;
	/* As runc and crun map 2..262144 to 1..10000. */
	return 1 + ((uint64_t)shares - 2) * 9999 / 262142;
}

static int cpu_weight(const json_t *section, int64_t shares, char *out, size_t size)
{
	(void)section;
	if (shares == 0)
		return 1;
	snprintf(out, size, "%" PRIu64, cgroup_cpu_weight(shares));
	return 0;
}

static int not_zero(const json_t *section, int64_t value, char *out, size_t size)
{
	(void)section;
	if (value == 0)
		return 1; /* engines send 0 for "not set" */
	if (value < 0)
		snprintf(out, size, "max");
	else
		snprintf(out, size, "%" PRId64, value);
	return 0;
}

/* blkio's 10..1000 to io.weight's 1..10000. */
static int io_weight(const json_t *section, int64_t weight, char *out, size_t size)
{
	(void)section;
	if (weight == 0)
		return 1;
	if (weight < 10 || weight > 1000)
		return -EINVAL;
	snprintf(out, size, "%" PRId64, 1 + (weight - 10) * 9999 / 990);
	return 0;
}

static const struct knob knobs[] = {
	{ "memory", "limit", "memory.max", not_zero },
	{ "memory", "reservation", "memory.low", not_zero },
	{ "cpu", "shares", "cpu.weight", cpu_weight },
	{ "cpu", "burst", "cpu.max.burst", NULL },
	{ "cpu", "idle", "cpu.idle", NULL },
	{ "pids", "limit", "pids.max", not_zero },
	{ "blockIO", "weight", "io.weight", io_weight },
};

static int apply_knob(const struct target *target, const json_t *resources, const struct knob *knob, struct err *err)
{
	const json_t *section = json_object_get(resources, knob->section);
	const json_t *value = json_object_get(section, knob->field);
	char text[64];
	int ret = 0;

	if (!json_is_integer(value))
		return 0;
	if (knob->convert)
		ret = knob->convert(section, json_integer_value(value), text, sizeof(text));
	else
		snprintf(text, sizeof(text), "%" PRId64, (int64_t)json_integer_value(value));
	if (ret == 0)
		ret = limit(target, knob->file, text, err);
	else if (ret < 0)
		err_set(err, -ret, "value %" PRId64, (int64_t)json_integer_value(value));
	return ret < 0 ? err_wrap(err, "linux.resources.%s.%s", knob->section, knob->field) : 0;
}

/* Quota and period share a file: the one that is not given stays what it is. */
static int apply_cpu_max(const struct target *target, const json_t *cpu, struct err *err)
{
	int64_t quota = json_get_integer(cpu, "quota", 0), period = json_get_integer(cpu, "period", 0);
	auto_free char *now = NULL;
	char text[64], *space;

	if (!quota && period <= 0)
		return 0;
	now = cgroup_read(target->cgroup, "cpu.max");
	space = now ? strchr(now, ' ') : NULL;
	if (space)
		*space++ = '\0';
	if (period <= 0)
		period = space ? strtoll(space, NULL, 10) : 100000;
	if (quota > 0)
		snprintf(text, sizeof(text), "%" PRId64 " %" PRId64, quota, period);
	else
		snprintf(text, sizeof(text), "%.20s %" PRId64, quota < 0 || !space ? "max" : now, period);
	return limit(target, "cpu.max", text, err) < 0 ? err_wrap(err, "linux.resources.cpu.quota") : 0;
}

/* The spec's swap is memory plus swap; v2's is swap alone. */
static int apply_swap(const struct target *target, const json_t *memory, struct err *err)
{
	int64_t swap = json_get_integer(memory, "swap", 0);
	int64_t of_memory = json_get_integer(memory, "limit", cgroup_number(target->cgroup, "memory.max"));
	char text[32] = "max";

	if (swap == 0)
		return 0;
	if (swap > 0 && (of_memory < 0 || swap < of_memory))
		return err_msg(err, EINVAL, "linux.resources.memory.swap: %" PRId64 " is less than the memory limit, which it includes",
			       swap);
	if (swap > 0)
		snprintf(text, sizeof(text), "%" PRId64, swap - of_memory);
	return limit(target, "memory.swap.max", text, err) < 0 ? err_wrap(err, "linux.resources.memory.swap") : 0;
}

static int apply_strings(const struct target *target, const json_t *resources, struct err *err)
{
	const json_t *cpu = json_object_get(resources, "cpu");
	const char *cpus = json_get_string(cpu, "cpus", ""), *mems = json_get_string(cpu, "mems", "");

	if (*cpus && limit(target, "cpuset.cpus", cpus, err) < 0)
		return err_wrap(err, "linux.resources.cpu.cpus");
	if (*mems && limit(target, "cpuset.mems", mems, err) < 0)
		return err_wrap(err, "linux.resources.cpu.mems");
	return 0;
}

static int apply_hugepages(const struct target *target, const json_t *limits, struct err *err)
{
	size_t i;
	const json_t *entry;

	json_array_foreach(limits, i, entry) {
		char file[64], value[32];

		snprintf(file, sizeof(file), "hugetlb.%s.max", json_get_string(entry, "pageSize", ""));
		snprintf(value, sizeof(value), "%" PRId64, json_get_integer(entry, "limit", 0));
		if (strchr(file, '/') || limit(target, file, value, err) < 0)
			return err_wrap(err, "linux.resources.hugepageLimits[%zu]", i);
	}
	return 0;
}

/* blockIO.throttle*Device: one line of io.max per entry. */
static int apply_throttles(const struct target *target, const json_t *block_io, struct err *err)
{
	static const char *const fields[][2] = {
		{ "throttleReadBpsDevice", "rbps" },
		{ "throttleWriteBpsDevice", "wbps" },
		{ "throttleReadIOPSDevice", "riops" },
		{ "throttleWriteIOPSDevice", "wiops" },
	};

	for (size_t f = 0; f < ARRAY_SIZE(fields); f++) {
		const json_t *entries = json_object_get(block_io, fields[f][0]), *entry;
		size_t i;

		json_array_foreach(entries, i, entry) {
			char line[96];

			snprintf(line, sizeof(line), "%" PRId64 ":%" PRId64 " %s=%" PRId64,
				 json_get_integer(entry, "major", 0), json_get_integer(entry, "minor", 0), fields[f][1],
				 json_get_integer(entry, "rate", 0));
			if (limit(target, "io.max", line, err) < 0)
				return err_wrap(err, "linux.resources.blockIO.%s[%zu]", fields[f][0], i);
		}
	}
	return 0;
}

/* config.md, "Unified": written verbatim, last, so that they win. */
static int apply_unified(const struct target *target, const json_t *unified, struct err *err)
{
	const char *file;
	json_t *value;

	json_object_foreach((json_t *)unified, file, value) {
		if (strchr(file, '/') || !json_is_string(value))
			return err_msg(err, EINVAL, "linux.resources.unified: '%s' is not a cgroup file and a string", file);
		if (limit(target, file, json_string_value(value), err) < 0)
			return err_wrap(err, "linux.resources.unified");
	}
	return 0;
}

int cgroup_apply(const struct cgroup *cgroup, const json_t *resources, unsigned int controllers, struct err *err)
{
	const struct target target = { cgroup, controllers };
	int ret = 0;

	if (!resources)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(knobs) && ret == 0; i++)
		ret = apply_knob(&target, resources, &knobs[i], err);
	if (ret == 0)
		ret = apply_cpu_max(&target, json_object_get(resources, "cpu"), err);
	if (ret == 0)
		ret = apply_swap(&target, json_object_get(resources, "memory"), err);
	if (ret == 0)
		ret = apply_strings(&target, resources, err);
	if (ret == 0)
		ret = apply_hugepages(&target, json_object_get(resources, "hugepageLimits"), err);
	if (ret == 0)
		ret = apply_throttles(&target, json_object_get(resources, "blockIO"), err);
	if (ret == 0)
		ret = apply_unified(&target, json_object_get(resources, "unified"), err);
	return ret;
}
