/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's process as files of /proc. */
#include "runtime/process_files.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define GUEST_TICKS 100 /* agent.proto: times are in hundredths of a second */
#define NAME_MAX_BYTES 15 /* proc(5), comm: TASK_COMM_LEN without its NUL */

enum { IDS = 4, CAPABILITY_SETS = 5 };

bool process_files_check(const Cella__Agent__DescribeProcessesResponse *table)
{
	int32_t last = 0;

	for (size_t i = 0; i < table->n_processes; i++) {
		const Cella__Agent__Process *process = table->processes[i];

		if (process->pid <= last || process->n_uids != IDS || process->n_gids != IDS ||
		    process->n_capabilities != CAPABILITY_SETS)
			return false;
		last = process->pid;
	}
	return true;
}

static int compare(const void *key, const void *element)
{
	const int *pid = key;
	const Cella__Agent__Process *const *process = element;

	return (*pid > (*process)->pid) - (*pid < (*process)->pid);
}

const Cella__Agent__Process *process_files_find(const Cella__Agent__DescribeProcessesResponse *table, int pid)
{
	Cella__Agent__Process *const *found =
		table->n_processes ? bsearch(&pid, table->processes, table->n_processes, sizeof(*table->processes), compare) : NULL;

	return found ? *found : NULL;
}

/* A clock's time in the host's ticks. */
static uint64_t ticks_of(clockid_t clock)
{
	struct timespec now;
	uint64_t per_second = (uint64_t)sysconf(_SC_CLK_TCK);

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * per_second + (uint64_t)now.tv_nsec * per_second / 1000000000;
}

static uint64_t to_host_ticks(uint64_t guest_ticks)
{
	return guest_ticks / GUEST_TICKS * (uint64_t)sysconf(_SC_CLK_TCK) +
	       guest_ticks % GUEST_TICKS * (uint64_t)sysconf(_SC_CLK_TCK) / GUEST_TICKS;
}

/* The name of a process, which ends its line for nobody. */
static void get_name(const Cella__Agent__Process *process, char name[NAME_MAX_BYTES + 1])
{
	size_t n = process->name.len < NAME_MAX_BYTES ? process->name.len : NAME_MAX_BYTES;

	for (size_t i = 0; i < n; i++)
		name[i] = (char)(process->name.data[i] < ' ' || process->name.data[i] == 0x7f ? '?' : process->name.data[i]);
	name[n] = '\0';
}

static char get_state(const Cella__Agent__Process *process)
{
	return process->state < 128 && process->state && strchr("RSDZTtWXxKPI", (int)process->state) ? (char)process->state : '?';
}

char *process_files_stat(const Cella__Agent__Process *process, size_t *ret_len)
{
	uint64_t now = ticks_of(CLOCK_BOOTTIME), age = to_host_ticks(process->age);
	char name[NAME_MAX_BYTES + 1], *text = NULL;
	auto_file file = open_memstream(&text, ret_len);

	if (!file)
		return NULL;
	get_name(process, name);
	/* 52 fields; those that nobody in the guest told are 0. */
	fprintf(file, "%d (%s) %c %d %d %d %" PRIu32 " -1 0 0 0 0 0 %" PRIu64 " %" PRIu64 " 0 0 %d %d %" PRIu32 " 0 %" PRIu64 " %" PRIu64 " %" PRIu64,
		process->pid, name, get_state(process), process->parent, process->group, process->session, process->terminal,
		to_host_ticks(process->user_time), to_host_ticks(process->system_time), 20 + process->nice % 64, process->nice % 64,
		process->threads, now > age ? now - age : 0, process->virtual_bytes, process->resident_pages);
	for (int field = 25; field <= 52; field++)
		fputs(" 0", file);
	fputc('\n', file);
	fclose(ptr_take(&file));
	return text;
}

static void put_ids(FILE *file, const char *key, const uint32_t *ids, size_t n)
{
	fprintf(file, "%s:", key);
	for (size_t i = 0; i < n; i++)
		fprintf(file, "\t%" PRIu32, ids[i]);
	fputc('\n', file);
}

char *process_files_status(const Cella__Agent__Process *process, size_t *ret_len)
{
	static const char *const sets[CAPABILITY_SETS] = { "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb" };
	char name[NAME_MAX_BYTES + 1], *text = NULL;
	auto_file file = open_memstream(&text, ret_len);

	if (!file)
		return NULL;
	get_name(process, name);
	fprintf(file, "Name:\t%s\nState:\t%c\nTgid:\t%d\nPid:\t%d\nPPid:\t%d\n", name, get_state(process), process->pid, process->pid,
		process->parent);
	put_ids(file, "Uid", process->uids, IDS);
	put_ids(file, "Gid", process->gids, IDS);
	put_ids(file, "Groups", process->groups, process->n_groups);
	fprintf(file, "NSpid:\t%d\nVmSize:\t%" PRIu64 " kB\nVmRSS:\t%" PRIu64 " kB\nThreads:\t%" PRIu32 "\n", process->pid,
		process->virtual_bytes / 1024, process->resident_pages * 4, process->threads);
	for (size_t i = 0; i < CAPABILITY_SETS; i++)
		fprintf(file, "%s:\t%016" PRIx64 "\n", sets[i], process->capabilities[i]);
	fprintf(file, "NoNewPrivs:\t%d\nSeccomp:\t%" PRIu32 "\n", process->no_new_privileges, process->seccomp);
	fclose(ptr_take(&file));
	return text;
}

char *process_files_cmdline(const Cella__Agent__Process *process, size_t *ret_len)
{
	char *text = malloc(process->command_line.len + 1);

	if (text && process->command_line.len)
		memcpy(text, process->command_line.data, process->command_line.len);
	*ret_len = process->command_line.len;
	return text;
}

char *process_files_system_stat(size_t *ret_len)
{
	struct timespec now, since_boot;
	char *text = NULL;
	int n;

	clock_gettime(CLOCK_REALTIME, &now);
	clock_gettime(CLOCK_BOOTTIME, &since_boot);
	n = asprintf(&text, "btime %" PRId64 "\n", (int64_t)(now.tv_sec - since_boot.tv_sec));
	*ret_len = n < 0 ? 0 : (size_t)n;
	return n < 0 ? NULL : text;
}
