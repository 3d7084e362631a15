/* SPDX-License-Identifier: Apache-2.0 */
/* What a container uses. */
#include "agent/stats.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/io.h"

#define COUNTERS_MAX 256
#define NAME_MAX_BYTES 96
#define NETWORK "/sys/class/net"

struct stats {
	Cella__Agent__Counter counters[COUNTERS_MAX];
	Cella__Agent__Counter *list[COUNTERS_MAX];
	char names[COUNTERS_MAX][NAME_MAX_BYTES];
	size_t n;
};

static const char *const numbers[] = { "memory.current", "memory.peak", "memory.max", "memory.swap.current",
				       "memory.swap.max", "pids.current", "pids.max" };
static const char *const tables[] = { "cpu.stat", "memory.stat", "memory.events" };
static const char *const network_counters[] = { "rx_bytes", "rx_packets", "rx_errors", "rx_dropped",
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

static void add_interface(struct stats *stats, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(network_counters); i++) {
		char path[PATH_MAX];
		auto_free char *text = NULL;
		struct err ignored;

		snprintf(path, sizeof(path), NETWORK "/%s/statistics/%s", name, network_counters[i]);
		text = io_read_file(AT_FDCWD, path, 64, NULL, &ignored);
		if (text)
			add(stats, text, "net:%s:%s", name, network_counters[i]);
	}
}

static void add_network(struct stats *stats)
{
	auto_dir dir = opendir(NETWORK);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' && strcmp(entry->d_name, "lo"))
			add_interface(stats, entry->d_name);
}

struct stats *stats_collect(const struct cgroup *cgroup, Cella__Agent__StatsResponse *response, struct err *err)
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
	add_network(stats);
	response->counters = stats->list;
	response->n_counters = stats->n;
	return stats;
}

void stats_free(struct stats *stats)
{
	free(stats);
}
