/* SPDX-License-Identifier: Apache-2.0 */
/* cella events: what a container uses, in runc's JSON (one object per line). */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/proto/agent.pb-c.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "runtime/agent_client.h"
#include "runtime/command.h"

#define COUNTERS_MAX 1024

struct events_options {
	bool stats;
	const char *interval;
};

static const struct option events_options[] = {
	{ "stats", 0, OPTION_FLAG, offsetof(struct events_options, stats), "once, then end" },
	{ "interval", 0, OPTION_STRING, offsetof(struct events_options, interval), "time between two lines, such as 5s (the default)" },
};
static const struct command events_command = { "events [OPTION]... ID", events_options, ARRAY_SIZE(events_options), 1, 1 };

/* A duration as Go writes it, with one unit: milliseconds, or -EINVAL. */
static long parse_interval(const char *text, struct err *err)
{
	static const struct {
		const char *unit;
		double ms;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 } };
	char *end;
	double value = strtod(text, &end);

	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (end != text && !strcmp(end, units[i].unit) && value * units[i].ms >= 1 && value * units[i].ms < 1e9)
			return (long)(value * units[i].ms);
	return err_msg(err, EINVAL, "option --interval: '%s' is not a duration such as 5s", text);
}

static json_int_t counter(const Cella__Agent__StatsResponse *stats, const char *name)
{
	for (size_t i = 0; i < stats->n_counters; i++)
		if (!strcmp(stats->counters[i]->name, name))
			/* Go's unsigned numbers: "max" has to stay one that jansson can write. */
			return stats->counters[i]->value > INT64_MAX ? INT64_MAX : (json_int_t)stats->counters[i]->value;
	return 0;
}

/* Every counter of one file, under its own name. */
static json_t *table(const Cella__Agent__StatsResponse *stats, const char *prefix)
{
	json_t *out = json_object();
	size_t len = strlen(prefix);

	for (size_t i = 0; i < stats->n_counters; i++)
		if (!strncmp(stats->counters[i]->name, prefix, len))
			json_object_set_new(out, stats->counters[i]->name + len, json_integer((json_int_t)stats->counters[i]->value));
	return out;
}

/* cgroup v2 counts microseconds, runc's JSON nanoseconds. The guest's numbers may be any. */
static json_int_t nanoseconds(const Cella__Agent__StatsResponse *stats, const char *name)
{
	json_int_t ns;

	return __builtin_mul_overflow(counter(stats, name), 1000, &ns) ? INT64_MAX : ns;
}

static json_t *cpu(const Cella__Agent__StatsResponse *stats)
{
	return json_pack("{s:{s:I, s:I, s:I}, s:{s:I, s:I, s:I}}", "usage", "total", nanoseconds(stats, "cpu.stat:usage_usec"),
			 "kernel", nanoseconds(stats, "cpu.stat:system_usec"), "user",
			 nanoseconds(stats, "cpu.stat:user_usec"), "throttling", "periods",
			 counter(stats, "cpu.stat:nr_periods"), "throttledPeriods", counter(stats, "cpu.stat:nr_throttled"),
			 "throttledTime", nanoseconds(stats, "cpu.stat:throttled_usec"));
}

static json_t *memory(const Cella__Agent__StatsResponse *stats)
{
	return json_pack("{s:I, s:{s:I, s:I, s:I, s:I}, s:{s:I, s:I, s:I}, s:o}", "cache", counter(stats, "memory.stat:file"),
			 "usage", "limit", counter(stats, "memory.max"), "usage", counter(stats, "memory.current"), "max",
			 counter(stats, "memory.peak"), "failcnt", counter(stats, "memory.events:max"), "swap", "limit",
			 counter(stats, "memory.swap.max"), "usage", counter(stats, "memory.swap.current"), "failcnt",
			 (json_int_t)0, "raw", table(stats, "memory.stat:"));
}

static void add_interface(json_t *list, const Cella__Agent__StatsResponse *stats, const char *name)
{
	static const char *const fields[][2] = {
		{ "RxBytes", "rx_bytes" },   { "RxPackets", "rx_packets" }, { "RxErrors", "rx_errors" },
		{ "RxDropped", "rx_dropped" }, { "TxBytes", "tx_bytes" },   { "TxPackets", "tx_packets" },
		{ "TxErrors", "tx_errors" },   { "TxDropped", "tx_dropped" },
	};
	json_t *interface = json_pack("{s:s}", "Name", name);

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		char full[96];

		snprintf(full, sizeof(full), "net:%s:%s", name, fields[i][1]);
		json_object_set_new(interface, fields[i][0], json_integer(counter(stats, full)));
	}
	json_array_append_new(list, interface);
}

static json_t *interfaces(const Cella__Agent__StatsResponse *stats)
{
	json_t *list = json_array();

	for (size_t i = 0; i < stats->n_counters; i++) {
		char name[32];

		/* Each interface has one such counter. */
		if (sscanf(stats->counters[i]->name, "net:%31[^:]:rx_bytes", name) == 1 &&
		    strstr(stats->counters[i]->name, ":rx_bytes"))
			add_interface(list, stats, name);
	}
	return list;
}

static int print(json_t *line, struct err *err)
{
	int ret = line ? json_dumpf(line, stdout, JSON_COMPACT) : -1;

	json_decref(line);
	/* Whoever reads us follows line by line. */
	if (ret < 0 || putchar('\n') == EOF || fflush(stdout) == EOF)
		return err_set(err, EIO, "write to standard output");
	return 0;
}

static int print_stats(const char *id, const Cella__Agent__StatsResponse *stats, struct err *err)
{
	return print(json_pack("{s:s, s:s, s:{s:o, s:o, s:{s:I, s:I}, s:{}, s:{}, s:{}, s:o}}", "type", "stats", "id", id, "data",
			       "cpu", cpu(stats), "memory", memory(stats), "pids", "current", counter(stats, "pids.current"),
			       "limit", counter(stats, "pids.max") == INT64_MAX ? (json_int_t)0 : counter(stats, "pids.max"),
			       "blkio", "hugetlb", "intel_rdt", "network_interfaces", interfaces(stats)),
		     err);
}

/* One look. *oom_kills: how many there were at the last one. */
static int look(const struct state *state, json_int_t *oom_kills, struct err *err)
{
	Cella__Agent__ProcessRef request = CELLA__AGENT__PROCESS_REF__INIT;
	Cella__Agent__StatsResponse *stats;
	ProtobufCMessage *answer;
	json_int_t now;
	int ret = 0;

	request.id = (char *)state->id;
	if (agent_call_once(state->vm_dir, "Stats", &request.base, &cella__agent__stats_response__descriptor, &answer, err) < 0)
		return -err->code;
	stats = (Cella__Agent__StatsResponse *)answer;
	/* The agent sends some hundred; each is looked for in all of them below, and the guest may be hostile. */
	if (stats->n_counters > COUNTERS_MAX) {
		protobuf_c_message_free_unpacked(answer, NULL);
		return err_msg(err, EPROTO, "container %s: the guest sends more than %d counters", state->id, COUNTERS_MAX);
	}
	now = counter(stats, "memory.events:oom_kill");
	if (*oom_kills >= 0 && now > *oom_kills)
		ret = print(json_pack("{s:s, s:s}", "type", "oom", "id", state->id), err);
	*oom_kills = now;
	if (ret == 0)
		ret = print_stats(state->id, stats, err);
	protobuf_c_message_free_unpacked(answer, NULL);
	return ret;
}

static int follow(struct runtime *runtime, const char *id, long interval_ms, bool once, struct err *err)
{
	struct timespec pause = { interval_ms / 1000, interval_ms % 1000 * 1000000 };
	json_int_t oom_kills = -1;

	for (bool first = true;; first = false) {
		struct state state;
		bool alive;
		int ret = command_open(runtime, id, &state, err);

		if (ret < 0)
			return first ? ret : 0; /* deleted meanwhile */
		alive = state.status != STATUS_STOPPED && state.status != STATUS_CREATING;
		if (alive)
			ret = look(&state, &oom_kills, err);
		if (ret < 0 && !first && command_has_ended(&state, err))
			alive = false;
		state_close(&state);
		if (!alive)
			return first ? err_msg(err, EINVAL, "container %s is not running", id) : 0;
		if (ret < 0 || once)
			return ret;
		nanosleep(&pause, NULL);
	}
}

int cmd_events(struct runtime *runtime, int argc, char **argv)
{
	struct events_options options = { .interval = "5s" };
	struct err err;
	int first = command_parse(&events_command, &options, argc, argv, &err);
	long interval;

	if (first == COMMAND_HELP_SHOWN)
		return 0;
	interval = first < 0 ? -1 : parse_interval(options.interval, &err);
	if (first < 0 || interval < 0 || follow(runtime, argv[first], interval, options.stats, &err) < 0)
		return runtime_fail(&err, 1);
	return 0;
}
