/* SPDX-License-Identifier: Apache-2.0 */
/* Transient scopes of systemd. */
#include "runtime/systemd_scope.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/cgroup_limits.h"
#include "lib/json.h"
#include "lib/program.h"
#include "runtime/rootless.h"

#define START_TIMEOUT_MS 30000
#define WORDS_MAX 64
#define WORD_MAX 320

/* A command line of busctl: its words, one property after the other. */
struct call {
	char text[WORDS_MAX][WORD_MAX];
	const char *argv[WORDS_MAX + 1];
	int n;
};

static void __attribute__((format(printf, 2, 3))) word(struct call *call, const char *fmt, ...)
{
	va_list ap;

	if (call->n == WORDS_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(call->text[call->n], WORD_MAX, fmt, ap);
	va_end(ap);
	call->argv[call->n] = call->text[call->n];
	call->argv[++call->n] = NULL;
}

static void begin(struct call *call, const char *method, const char *signature)
{
	call->n = 0;
	word(call, "busctl");
	word(call, rootless() ? "--user" : "--system");
	word(call, "--quiet");
	word(call, "call");
	word(call, "org.freedesktop.systemd1");
	word(call, "/org/freedesktop/systemd1");
	word(call, "org.freedesktop.systemd1.Manager");
	word(call, "%s", method);
	word(call, "%s", signature);
}

static int finish(struct call *call, const char *unit, struct err *err)
{
	char words[300];
	int status = program_run(call->argv, words, sizeof(words));

	if (status == 0)
		return 0;
	return err_msg(err, status < 0 ? -status : EIO, "systemd: %s %s: %s", call->argv[7], unit, *words ? words : "busctl failed");
}

static void number(struct call *call, int *count, const char *name, uint64_t value)
{
	word(call, "%s", name);
	word(call, "t");
	word(call, "%" PRIu64, value);
	++*count;
}

/* The limits that systemd would otherwise reset to its own defaults. Returns how many. */
static int limits(struct call *call, const json_t *resources)
{
	const json_t *cpu = json_object_get(resources, "cpu");
	int64_t memory = json_get_integer(json_object_get(resources, "memory"), "limit", 0);
	int64_t pids = json_get_integer(json_object_get(resources, "pids"), "limit", 0);
	int64_t shares = json_get_integer(cpu, "shares", 0), quota = json_get_integer(cpu, "quota", 0);
	int64_t period = json_get_integer(cpu, "period", 0);
	int count = 0;

	if (memory)
		number(call, &count, "MemoryMax", memory > 0 ? (uint64_t)memory : UINT64_MAX);
	if (pids)
		number(call, &count, "TasksMax", pids > 0 ? (uint64_t)pids : UINT64_MAX);
	if (shares > 0)
		number(call, &count, "CPUWeight", cgroup_cpu_weight(shares));
	if (quota)
		number(call, &count, "CPUQuotaPerSecUSec",
		       quota > 0 ? (uint64_t)quota * 1000000 / (uint64_t)(period > 0 ? period : 100000) : UINT64_MAX);
	return count;
}

static void split(const char *path, char slice[WORD_MAX], char prefix[WORD_MAX], char name[WORD_MAX])
{
	const char *first = strchr(path, ':'), *second = first ? strchr(first + 1, ':') : NULL;

	*slice = *prefix = *name = '\0';
	if (!second)
		return;
	snprintf(slice, WORD_MAX, "%.*s", (int)(first - path), path);
	snprintf(prefix, WORD_MAX, "%.*s", (int)(second - first - 1), first + 1);
	snprintf(name, WORD_MAX, "%s", second + 1);
}

int scope_name(char unit[SCOPE_NAME_MAX], const char *cgroups_path, const char *id, struct err *err)
{
	char slice[WORD_MAX], prefix[WORD_MAX] = "cella", name[WORD_MAX];
	int n;

	if (cgroups_path && *cgroups_path) {
		if (strlen(cgroups_path) >= WORD_MAX)
			return err_set(err, ENAMETOOLONG, "linux.cgroupsPath '%s'", cgroups_path);
		split(cgroups_path, slice, prefix, name);
		if (!*name)
			return err_msg(err, EINVAL, "linux.cgroupsPath '%s': with --systemd-cgroup it is slice:prefix:name", cgroups_path);
	} else {
		snprintf(name, sizeof(name), "%s", id);
	}
	n = snprintf(unit, SCOPE_NAME_MAX, "%s%s%s.scope", prefix, *prefix ? "-" : "", name);
	return n < SCOPE_NAME_MAX ? 0 : err_set(err, ENAMETOOLONG, "linux.cgroupsPath '%s'", cgroups_path);
}

/* StartTransientUnit queues a job: it is done when the process is where it belongs. */
static int wait_for_process(const char *unit, pid_t pid, struct cgroup *cgroup, struct err *err)
{
	int64_t deadline = io_now_ms() + START_TIMEOUT_MS;

	for (;;) {
		const char *last;

		if (cgroup_of_process(cgroup, pid, err) < 0)
			return -err->code;
		last = strrchr(cgroup->path, '/');
		if (!strcmp(last + 1, unit))
			return 0;
		if (io_now_ms() > deadline)
			return err_msg(err, ETIMEDOUT, "systemd has not started %s within %d s", unit, START_TIMEOUT_MS / 1000);
		usleep(2000);
	}
}

int scope_start(const char *unit, const char *cgroups_path, const json_t *resources, pid_t pid, struct cgroup *cgroup,
		struct err *err)
{
	char slice[WORD_MAX], prefix[WORD_MAX], name[WORD_MAX];
	struct call call, counted;

	split(cgroups_path ? cgroups_path : "", slice, prefix, name);
	if (!*slice)
		strcpy(slice, rootless() ? "user.slice" : "system.slice");
	begin(&call, "StartTransientUnit", "ssa(sv)a(sa(sv))");
	word(&call, "%s", unit);
	word(&call, "fail");
	counted.n = 0;
	word(&call, "%d", 5 + limits(&counted, resources));
	word(&call, "PIDs");
	word(&call, "au");
	word(&call, "1");
	word(&call, "%d", (int)pid);
	word(&call, "Slice");
	word(&call, "s");
	word(&call, "%s", slice);
	word(&call, "Delegate");
	word(&call, "b");
	word(&call, "true");
	word(&call, "CollectMode");
	word(&call, "s");
	word(&call, "inactive-or-failed");
	word(&call, "Description");
	word(&call, "s");
	word(&call, "cella container %s", *name ? name : unit);
	limits(&call, resources);
	word(&call, "0");
	if (finish(&call, unit, err) < 0)
		return -err->code;
	return wait_for_process(unit, pid, cgroup, err);
}

int scope_update(const char *unit, const json_t *resources, struct err *err)
{
	struct call call, counted;
	int n;

	counted.n = 0;
	n = limits(&counted, resources);
	if (n == 0)
		return 0;
	begin(&call, "SetUnitProperties", "sba(sv)");
	word(&call, "%s", unit);
	word(&call, "true"); /* until the next boot only */
	word(&call, "%d", n);
	limits(&call, resources);
	return finish(&call, unit, err);
}

int scope_stop(const char *unit, struct err *err)
{
	struct call call;

	begin(&call, "StopUnit", "ss");
	word(&call, "%s", unit);
	word(&call, "replace");
	if (finish(&call, unit, err) == 0 || strstr(err->msg, "not loaded"))
		return 0;
	return -err->code;
}
