/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup v2 (Documentation/admin-guide/cgroup-v2.rst) and how the spec's v1 numbers map to it. */
#include "agent/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/guest.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/json.h"

#define FILE_MAX_BYTES (1 << 20)
#define FREEZE_TIMEOUT_MS 10000

static int full_path(char *out, size_t size, const struct cgroup *cgroup, const char *file)
{
	int n = snprintf(out, size, "%s/%s%s%s", GUEST_CGROUP, cgroup->path, *file ? "/" : "", file);

	return n < (int)size ? 0 : -ENAMETOOLONG;
}

static int write_knob(const struct cgroup *cgroup, const char *file, const char *value, struct err *err)
{
	char path[PATH_MAX + 64];

	if (full_path(path, sizeof(path), cgroup, file) < 0)
		return err_set(err, ENAMETOOLONG, "cgroup %s", cgroup->path);
	return io_write_file(AT_FDCWD, path, value, err);
}

/* Every controller that the parent has, for its children. A controller that cannot be delegated is left out. */
static void delegate(const char *directory)
{
	char path[PATH_MAX + 64];
	auto_free char *controllers = NULL;
	char *name, *rest;
	struct err err;

	snprintf(path, sizeof(path), "%s/cgroup.controllers", directory);
	controllers = io_read_file(AT_FDCWD, path, FILE_MAX_BYTES, NULL, &err);
	if (!controllers)
		return;
	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", directory);
	rest = controllers;
	while ((name = strsep(&rest, " \n"))) {
		char add[64];

		if (!*name)
			continue;
		snprintf(add, sizeof(add), "+%s", name);
		/* The limits that need it fail later, with their own text. */
		if (io_write_file(AT_FDCWD, path, add, &err) < 0)
			continue;
	}
}

/* systemd's form slice:prefix:name, or a path; components "." and ".." are refused. */
static int choose_path(struct cgroup *cgroup, const char *cgroups_path, const char *id)
{
	const char *first = cgroups_path ? strchr(cgroups_path, ':') : NULL;
	const char *second = first ? strchr(first + 1, ':') : NULL;
	int n;

	if (second)
		n = snprintf(cgroup->path, sizeof(cgroup->path), "%.*s%s%.*s%s%s.scope", (int)(first - cgroups_path),
			     cgroups_path, first > cgroups_path ? "/" : "", (int)(second - first - 1), first + 1,
			     second > first + 1 ? "-" : "", second + 1);
	else
		n = snprintf(cgroup->path, sizeof(cgroup->path), "%s", cgroups_path && *cgroups_path ? cgroups_path : id);
	if (n >= (int)sizeof(cgroup->path))
		return -ENAMETOOLONG;
	n = (int)strspn(cgroup->path, "/");
	memmove(cgroup->path, cgroup->path + n, strlen(cgroup->path + n) + 1);
	if (!*cgroup->path || strstr(cgroup->path, "../") || !strcmp(cgroup->path, ".."))
		return -EINVAL;
	return 0;
}

int cgroup_create(struct cgroup *cgroup, const char *cgroups_path, const char *id, struct err *err)
{
	char path[PATH_MAX + 64];
	char *slash;
	int ret = choose_path(cgroup, cgroups_path, id);

	if (ret < 0 || full_path(path, sizeof(path), cgroup, "") < 0)
		return err_set(err, ret < 0 ? -ret : ENAMETOOLONG, "linux.cgroupsPath '%s'", cgroups_path);
	delegate(GUEST_CGROUP);
	for (slash = path + strlen(GUEST_CGROUP) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return err_set(err, errno, "create cgroup %s", path);
		delegate(path);
		*slash = '/';
	}
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return err_set(err, errno, "create cgroup %s", path);
	return 0;
}

/* One number of the spec into one file. convert: NULL writes the number, -1 as "max". */
struct knob {
	const char *section, *field, *file;
	int (*convert)(const json_t *section, int64_t value, char *out, size_t size);
};

static int cpu_weight(const json_t *section, int64_t shares, char *out, size_t size)
{
	(void)section;
	if (shares == 0)
		return 1;
	if (shares < 2)
		shares = 2;
	if (shares > 262144)
		shares = 262144;
	/* As runc and crun map 2..262144 to 1..10000. */
	snprintf(out, size, "%" PRId64, 1 + (shares - 2) * 9999 / 262142);
	return 0;
}

static int cpu_max(const json_t *section, int64_t quota, char *out, size_t size)
{
	int64_t period = json_get_integer(section, "period", 100000);

	if (period <= 0)
		period = 100000;
	if (quota <= 0)
		snprintf(out, size, "max %" PRId64, period);
	else
		snprintf(out, size, "%" PRId64 " %" PRId64, quota, period);
	return 0;
}

static int cpu_period(const json_t *section, int64_t period, char *out, size_t size)
{
	if (json_object_get(section, "quota") || period <= 0)
		return 1; /* cpu_max has it */
	snprintf(out, size, "max %" PRId64, period);
	return 0;
}

/* The spec's swap is memory plus swap; v2's is swap alone. */
static int memory_swap(const json_t *section, int64_t swap, char *out, size_t size)
{
	int64_t limit = json_get_integer(section, "limit", -1);

	if (swap == 0)
		return 1;
	if (swap < 0)
		snprintf(out, size, "max");
	else if (limit < 0 || swap < limit)
		return -EINVAL;
	else
		snprintf(out, size, "%" PRId64, swap - limit);
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
	{ "memory", "swap", "memory.swap.max", memory_swap },
	{ "memory", "reservation", "memory.low", not_zero },
	{ "cpu", "shares", "cpu.weight", cpu_weight },
	{ "cpu", "quota", "cpu.max", cpu_max },
	{ "cpu", "period", "cpu.max", cpu_period },
	{ "cpu", "burst", "cpu.max.burst", NULL },
	{ "cpu", "idle", "cpu.idle", NULL },
	{ "pids", "limit", "pids.max", not_zero },
	{ "blockIO", "weight", "io.weight", io_weight },
};

static int apply_knob(const struct cgroup *cgroup, const json_t *resources, const struct knob *knob, struct err *err)
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
		ret = write_knob(cgroup, knob->file, text, err);
	else if (ret < 0)
		err_set(err, -ret, "value %" PRId64, (int64_t)json_integer_value(value));
	return ret < 0 ? err_wrap(err, "linux.resources.%s.%s", knob->section, knob->field) : 0;
}

static int apply_strings(const struct cgroup *cgroup, const json_t *resources, struct err *err)
{
	const json_t *cpu = json_object_get(resources, "cpu");
	const char *cpus = json_get_string(cpu, "cpus", ""), *mems = json_get_string(cpu, "mems", "");

	if (*cpus && write_knob(cgroup, "cpuset.cpus", cpus, err) < 0)
		return err_wrap(err, "linux.resources.cpu.cpus");
	if (*mems && write_knob(cgroup, "cpuset.mems", mems, err) < 0)
		return err_wrap(err, "linux.resources.cpu.mems");
	return 0;
}

static int apply_hugepages(const struct cgroup *cgroup, const json_t *limits, struct err *err)
{
	size_t i;
	const json_t *limit;

	json_array_foreach(limits, i, limit) {
		char file[64], value[32];

		snprintf(file, sizeof(file), "hugetlb.%s.max", json_get_string(limit, "pageSize", ""));
		snprintf(value, sizeof(value), "%" PRId64, json_get_integer(limit, "limit", 0));
		if (strchr(file, '/') || write_knob(cgroup, file, value, err) < 0)
			return err_wrap(err, "linux.resources.hugepageLimits[%zu]", i);
	}
	return 0;
}

/* blockIO.throttle*Device: one line of io.max per entry. */
static int apply_throttles(const struct cgroup *cgroup, const json_t *block_io, struct err *err)
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
			if (write_knob(cgroup, "io.max", line, err) < 0)
				return err_wrap(err, "linux.resources.blockIO.%s[%zu]", fields[f][0], i);
		}
	}
	return 0;
}

/* config.md, "Unified": written verbatim, last, so that they win. */
static int apply_unified(const struct cgroup *cgroup, const json_t *unified, struct err *err)
{
	const char *file;
	json_t *value;

	json_object_foreach((json_t *)unified, file, value) {
		if (strchr(file, '/') || !json_is_string(value))
			return err_msg(err, EINVAL, "linux.resources.unified: '%s' is not a cgroup file and a string", file);
		if (write_knob(cgroup, file, json_string_value(value), err) < 0)
			return err_wrap(err, "linux.resources.unified");
	}
	return 0;
}

int cgroup_apply(const struct cgroup *cgroup, const json_t *resources, struct err *err)
{
	int ret = 0;

	if (!resources)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(knobs) && ret == 0; i++)
		ret = apply_knob(cgroup, resources, &knobs[i], err);
	if (ret == 0)
		ret = apply_strings(cgroup, resources, err);
	if (ret == 0)
		ret = apply_hugepages(cgroup, json_object_get(resources, "hugepageLimits"), err);
	if (ret == 0)
		ret = apply_throttles(cgroup, json_object_get(resources, "blockIO"), err);
	if (ret == 0)
		ret = apply_unified(cgroup, json_object_get(resources, "unified"), err);
	return ret;
}

int cgroup_add_process(const struct cgroup *cgroup, pid_t pid, struct err *err)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", (int)pid);
	return write_knob(cgroup, "cgroup.procs", text, err);
}

int cgroup_kill(const struct cgroup *cgroup, struct err *err)
{
	return write_knob(cgroup, "cgroup.kill", "1", err);
}

int cgroup_open(const struct cgroup *cgroup, struct err *err)
{
	char path[PATH_MAX + 64];
	int fd;

	if (full_path(path, sizeof(path), cgroup, "") < 0)
		return err_set(err, ENAMETOOLONG, "cgroup %s", cgroup->path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_set(err, errno, "open %s", path) : fd;
}

/* A counter in a "name value" file, or 0. */
static int64_t event_count(const struct cgroup *cgroup, const char *file, const char *name)
{
	char path[PATH_MAX + 64];
	auto_free char *text = NULL;
	char *line, *rest;
	size_t len = strlen(name);
	struct err err;

	if (full_path(path, sizeof(path), cgroup, file) < 0)
		return 0;
	text = io_read_file(AT_FDCWD, path, FILE_MAX_BYTES, NULL, &err);
	rest = text;
	while (rest && (line = strsep(&rest, "\n")))
		if (!strncmp(line, name, len) && line[len] == ' ')
			return strtoll(line + len + 1, NULL, 10);
	return 0;
}

int cgroup_freeze(const struct cgroup *cgroup, bool frozen, struct err *err)
{
	char path[PATH_MAX + 64];
	int64_t deadline = io_now_ms() + FREEZE_TIMEOUT_MS;
	auto_fd events = -1;

	if (write_knob(cgroup, "cgroup.freeze", frozen ? "1" : "0", err) < 0)
		return -err->code;
	if (full_path(path, sizeof(path), cgroup, "cgroup.events") < 0)
		return err_set(err, ENAMETOOLONG, "cgroup %s", cgroup->path);
	events = open(path, O_RDONLY | O_CLOEXEC);
	if (events < 0)
		return err_set(err, errno, "open %s", path);
	while ((event_count(cgroup, "cgroup.events", "frozen") != 0) != frozen) {
		struct pollfd pfd = { .fd = events, .events = POLLPRI };

		/* Short slices: a change between our look and this call would not wake it. */
		if (io_now_ms() > deadline)
			return err_msg(err, ETIMEDOUT, "the processes do not %s", frozen ? "freeze" : "thaw");
		if (poll(&pfd, 1, 20) < 0 && errno != EINTR)
			return err_set(err, errno, "wait for the cgroup");
	}
	return 0;
}

bool cgroup_was_oom_killed(const struct cgroup *cgroup)
{
	return event_count(cgroup, "memory.events", "oom_kill") > 0;
}

/* Calls visit for every cgroup below directory, deepest first, then for directory itself. */
static int walk(const char *directory, int (*visit)(const char *directory, void *ctx), void *ctx)
{
	auto_dir dir = opendir(directory);
	struct dirent *entry;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while ((entry = readdir(dir))) {
		char sub[PATH_MAX + 320];
		int ret;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		if (snprintf(sub, sizeof(sub), "%s/%s", directory, entry->d_name) >= (int)sizeof(sub))
			return -ENAMETOOLONG;
		ret = walk(sub, visit, ctx);
		if (ret < 0)
			return ret;
	}
	return visit(directory, ctx);
}

static int add_pids(const char *directory, void *ctx)
{
	char path[PATH_MAX + 400];
	auto_free char *text = NULL;
	char *line, *rest;
	struct err err;

	snprintf(path, sizeof(path), "%s/cgroup.procs", directory);
	text = io_read_file(AT_FDCWD, path, FILE_MAX_BYTES, NULL, &err);
	rest = text;
	while (rest && (line = strsep(&rest, "\n")))
		if (*line && json_array_append_new(ctx, json_integer(atoi(line))) < 0)
			return -ENOMEM;
	return 0;
}

json_t *cgroup_processes(const struct cgroup *cgroup, struct err *err)
{
	char path[PATH_MAX + 64];
	json_t *pids = json_array();
	int ret = full_path(path, sizeof(path), cgroup, "");

	if (ret == 0)
		ret = walk(path, add_pids, pids);
	if (ret < 0) {
		json_decref(pids);
		err_set(err, -ret, "list the processes of cgroup %s", cgroup->path);
		return NULL;
	}
	return pids;
}

static int remove_one(const char *directory, void *ctx)
{
	(void)ctx;
	return rmdir(directory) < 0 && errno != ENOENT ? -errno : 0;
}

int cgroup_remove(const struct cgroup *cgroup, struct err *err)
{
	char path[PATH_MAX + 64];
	int ret = full_path(path, sizeof(path), cgroup, "");

	if (ret == 0)
		ret = walk(path, remove_one, NULL);
	return ret < 0 ? err_set(err, -ret, "remove cgroup %s", cgroup->path) : 0;
}
