/* SPDX-License-Identifier: Apache-2.0 */
/* What a container uses. */
#include "agent/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "agent/network_namespace.h"
#include "lib/cleanup.h"
#include "lib/io.h"

#define COUNTERS_MAX 256
#define NAME_MAX_BYTES 96
#define NETWORK_MAX_BYTES 65536

struct stats {
	Cella__Agent__Counter counters[COUNTERS_MAX];
	Cella__Agent__Counter *list[COUNTERS_MAX];
	char names[COUNTERS_MAX][NAME_MAX_BYTES];
	size_t n;
};

static const char *const numbers[] = { "memory.current", "memory.peak", "memory.max", "memory.swap.current",
				       "memory.swap.max", "pids.current", "pids.max" };
static const char *const tables[] = { "cpu.stat", "memory.stat", "memory.events" };
static const char *const network_columns[] = { "rx_bytes", "rx_packets", "rx_errors", "rx_dropped", NULL, NULL, NULL, NULL,
					       "tx_bytes", "tx_packets", "tx_errors", "tx_dropped" };

static void __attribute__((format(printf, 3, 4))) add(struct stats *stats, const char *value, const char *fmt, ...)
{
	Cella__Agent__Counter *counter = &stats->counters[stats->n];
	va_list ap;

	if (stats->n == COUNTERS_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(stats->names[stats->n], NAME_MAX_BYTES, fmt, ap);
	va_end(ap);
	cella__agent__counter__init(counter);
	counter->name = stats->names[stats->n];
	counter->value = strncmp(value, "max", 3) ? strtoull(value, NULL, 10) : UINT64_MAX;
	stats->list[stats->n++] = counter;
}

/* A file of "key value" lines. */
static void add_table(struct stats *stats, const struct cgroup *cgroup, const char *file)
{
	auto_free char *text = cgroup_read(cgroup, file);
	char *line, *rest = text, *value;

	while (rest && (line = strsep(&rest, "\n"))) {
		value = strchr(line, ' ');
		if (!value)
			continue;
		*value++ = '\0';
		add(stats, value, "%s:%s", file, line);
	}
}

/* A line of /proc/net/dev (proc(5)): eight numbers of what came, eight of what went. */
static void add_interface(struct stats *stats, char *line)
{
	char *name = line + strspn(line, " "), *rest = strchr(name, ':'), *word;

	if (!rest)
		return;
	*rest++ = '\0';
	for (size_t i = 0; strcmp(name, "lo") && i < ARRAY_SIZE(network_columns) && (word = strsep(&rest, " "));) {
		if (!*word)
			continue;
		if (network_columns[i])
			add(stats, word, "net:%s:%s", name, network_columns[i]);
		i++;
	}
}

static void add_network(struct stats *stats, int network)
{
	auto_free char *text = NULL;
	char *rest, *line;
	struct err ignored;

	if (network_namespace_enter(network, &ignored) < 0)
		return;
	text = io_read_file(AT_FDCWD, "/proc/self/net/dev", NETWORK_MAX_BYTES, NULL, &ignored);
	network_namespace_leave(network);
	rest = text;
	while (rest && (line = strsep(&rest, "\n")))
		add_interface(stats, line);
}

struct stats *stats_collect(const struct cgroup *cgroup, int network, Cella__Agent__StatsResponse *response, struct err *err)
{
	struct stats *stats = calloc(1, sizeof(*stats));

	if (!stats) {
		err_set(err, ENOMEM, "stats");
		return NULL;
	}
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		auto_free char *text = cgroup_read(cgroup, numbers[i]);

		if (text)
			add(stats, text, "%s", numbers[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		add_table(stats, cgroup, tables[i]);
	add_network(stats, network);
	response->counters = stats->list;
	response->n_counters = stats->n;
	return stats;
}

void stats_free(struct stats *stats)
{
	free(stats);
}
