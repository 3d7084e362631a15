/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes that a container sees.
 *
 * A container's own /proc is no place to look: it may be hidden, or be no proc at all. So this reads the agent's, takes what
 * is in the container's pid namespace or below (pid_namespaces(7)), and gives the numbers that the container knows.
 */
#include "agent/processes.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/nsfs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/cleanup.h"
#include "lib/io.h"

#define FILE_MAX_BYTES 65536
#define LIST_MAX 65536 /* NGROUPS_MAX, the longest list in a status */
#define OVERFLOW_ID 65534
#define MAPS_MAX 340 /* user_namespaces(7): lines of a map */

struct id_range {
	uint32_t inside, outside, count;
};

struct id_ranges {
	struct id_range list[MAPS_MAX];
	size_t n;
};

struct collection {
	Cella__Agent__DescribeProcessesResponse *response;
	pid_t *outer; /* for each process its pid in the agent's namespace, ascending, as /proc has them */
	pid_t *outer_parents;
	struct stat namespace;
	size_t level; /* of the namespace below the agent's */
	size_t bytes, command_lines_bytes; /* so far */
	uint64_t now;	      /* hundredths of a second since boot */
	struct id_ranges users, groups;
};

/* Numbers that white space separates; a list of the caller's, or NULL for none. */
static uint32_t *parse_list(const char *text, size_t *ret_n)
{
	uint32_t *list = NULL;
	size_t n = 0, room = 0;
	char *end;

	for (;; text = end) {
		unsigned long value = strtoul(text, &end, 10);

		if (end == text || n == LIST_MAX)
			break;
		if (n == room) {
			uint32_t *more = realloc(list, (room = room ? 2 * room : 4) * sizeof(*list));

			if (!more)
				break;
			list = more;
		}
		list[n++] = (uint32_t)value;
	}
	*ret_n = n;
	return list;
}

/* One number for each pid namespace, from the reader's down to the process's own. */
static int parse_level(const char *text, size_t level, int32_t *ret)
{
	size_t n;
	auto_free uint32_t *list = parse_list(text, &n);

	if (n <= level)
		return -EPROTO;
	*ret = (int32_t)list[level];
	return 0;
}

static const char *const capability_sets[] = { "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb" }; /* as agent.proto has them */

static int parse_capabilities(const char *key, const char *text, Cella__Agent__Process *process)
{
	size_t n = ARRAY_SIZE(capability_sets), i = 0;

	while (i < n && strcmp(key, capability_sets[i]))
		i++;
	if (i == n)
		return 0;
	if (!process->capabilities)
		process->capabilities = calloc(n, sizeof(*process->capabilities));
	if (!process->capabilities)
		return -ENOMEM;
	process->n_capabilities = n;
	process->capabilities[i] = strtoull(text, NULL, 16);
	return 0;
}

static int parse_status_line(const char *key, char *value, size_t level, Cella__Agent__Process *process)
{
	if (!strcmp(key, "NSpid"))
		return parse_level(value, level, &process->pid);
	if (!strcmp(key, "NSpgid"))
		return parse_level(value, level, &process->group);
	if (!strcmp(key, "NSsid"))
		return parse_level(value, level, &process->session);
	if (!strcmp(key, "Uid") && !process->uids)
		process->uids = parse_list(value, &process->n_uids);
	else if (!strcmp(key, "Gid") && !process->gids)
		process->gids = parse_list(value, &process->n_gids);
	else if (!strcmp(key, "Groups") && !process->groups)
		process->groups = parse_list(value, &process->n_groups);
	else if (!strcmp(key, "Seccomp"))
		process->seccomp = (uint32_t)strtoul(value, NULL, 10);
	else if (!strcmp(key, "NoNewPrivs"))
		process->no_new_privileges = strtoul(value, NULL, 10) != 0;
	return parse_capabilities(key, value, process);
}

int processes_parse_status(char *text, size_t level, Cella__Agent__Process *process)
{
	char *line, *value;

	while ((line = strsep(&text, "\n"))) {
		int ret;

		value = strchr(line, ':');
		if (!value)
			continue;
		*value++ = '\0';
		ret = parse_status_line(line, value, level, process);
		if (ret < 0)
			return ret;
	}
	return process->pid > 0 && process->n_uids == 4 && process->n_gids == 4 ? 0 : -EPROTO;
}

int processes_parse_stat(char *text, uint64_t now, Cella__Agent__Process *process)
{
	/* A name may have anything in it, parentheses as well: it ends with the last one. */
	char *name = strchr(text, '('), *end = strrchr(text, ')');
	uint64_t user, system, start, bytes, pages;
	unsigned int terminal, threads;
	int parent, nice;
	char state;

	if (!name || !end || end < name ||
	    sscanf(end + 1, " %c %d %*d %*d %u %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64 " %*d %*d %*d %d %u %*d %" SCNu64 " %" SCNu64 " %" SCNu64,
		   &state, &parent, &terminal, &user, &system, &nice, &threads, &start, &bytes, &pages) != 10)
		return -EPROTO;
	process->name.len = (size_t)(end - name) - 1;
	process->name.data = malloc(process->name.len + 1);
	if (!process->name.data)
		return -ENOMEM;
	memcpy(process->name.data, name + 1, process->name.len);
	process->state = (uint8_t)state;
	process->parent = parent;
	process->terminal = terminal;
	process->nice = nice;
	process->threads = threads;
	process->user_time = user;
	process->system_time = system;
	process->age = now > start ? now - start : 0;
	process->virtual_bytes = bytes;
	process->resident_pages = pages;
	return 0;
}

static void read_command_line(struct collection *all, int dir, Cella__Agent__Process *process)
{
	auto_fd fd = openat(dir, "cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0 || all->command_lines_bytes >= COMMAND_LINES_BYTES_MAX)
		return;
	process->command_line.data = malloc(COMMAND_LINE_MAX);
	if (!process->command_line.data)
		return;
	n = read(fd, process->command_line.data, COMMAND_LINE_MAX);
	process->command_line.len = n > 0 ? (size_t)n : 0;
	all->command_lines_bytes += process->command_line.len;
}

/* Whether the process of dir is in the namespace, or depth namespaces below it. */
static bool is_inside(const struct collection *all, int dir, size_t depth)
{
	auto_fd namespace = openat(dir, "ns/pid", O_RDONLY | O_CLOEXEC);
	struct stat status;

	for (; namespace >= 0 && depth; depth--) {
		/* ioctl_ns(2) */
		int parent = ioctl(namespace, NS_GET_PARENT);

		fd_close(&namespace);
		namespace = parent;
	}
	return namespace >= 0 && fstat(namespace, &status) == 0 && status.st_ino == all->namespace.st_ino &&
	       status.st_dev == all->namespace.st_dev;
}

/* How many pid namespaces a process is in, as its status tells; 0 if it does not. */
static size_t count_levels(const char *status)
{
	const char *line = strstr(status, "\nNSpid:");
	auto_free char *copy = line ? strndup(line + 7, strcspn(line + 7, "\n")) : NULL;
	size_t n = 0;

	if (copy)
		free(parse_list(copy, &n));
	return n;
}

static char *read_small_file(int dir, const char *name)
{
	struct err ignored;

	return io_read_file(dir, name, FILE_MAX_BYTES, NULL, &ignored);
}

static void translate_ids(const struct id_ranges *ranges, uint32_t *ids, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t inside = OVERFLOW_ID;

		for (size_t k = 0; k < ranges->n; k++)
			if (ids[i] - ranges->list[k].outside < ranges->list[k].count)
				inside = ids[i] - ranges->list[k].outside + ranges->list[k].inside;
		ids[i] = inside;
	}
}

static void read_ranges(int dir, const char *file, struct id_ranges *ranges)
{
	auto_free char *text = read_small_file(dir, file);
	char *rest = text, *line;

	while (rest && ranges->n < MAPS_MAX && (line = strsep(&rest, "\n"))) {
		struct id_range *range = &ranges->list[ranges->n];

		if (sscanf(line, "%" SCNu32 " %" SCNu32 " %" SCNu32, &range->inside, &range->outside, &range->count) == 3)
			ranges->n++;
	}
}

/* NULL: it is not the container's, or gone, which is the same. */
static Cella__Agent__Process *read_process(struct collection *all, int dir)
{
	auto_free char *status = read_small_file(dir, "status"), *stat = read_small_file(dir, "stat");
	Cella__Agent__Process *process;
	size_t levels = status ? count_levels(status) : 0;

	if (!stat || levels <= all->level || !is_inside(all, dir, levels - 1 - all->level))
		return NULL;
	process = malloc(sizeof(*process));
	if (!process)
		return NULL;
	cella__agent__process__init(process);
	if (processes_parse_status(status, all->level, process) < 0 || processes_parse_stat(stat, all->now, process) < 0) {
		cella__agent__process__free_unpacked(process, NULL);
		return NULL;
	}
	translate_ids(&all->users, process->uids, process->n_uids);
	translate_ids(&all->groups, process->gids, process->n_gids);
	translate_ids(&all->groups, process->groups, process->n_groups);
	read_command_line(all, dir, process);
	return process;
}

static void add_process(struct collection *all, int proc, const char *name)
{
	auto_fd dir = openat(proc, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	Cella__Agent__Process *process = dir < 0 ? NULL : read_process(all, dir);
	size_t n = all->response->n_processes;

	if (!process)
		return;
	all->outer[n] = (pid_t)strtol(name, NULL, 10);
	all->outer_parents[n] = process->parent;
	all->response->processes[n] = process;
	all->response->n_processes++;
	all->bytes += cella__agent__process__get_packed_size(process);
}

static int compare_outer(const void *a, const void *b)
{
	const pid_t *one = a, *two = b;

	return (*one > *two) - (*one < *two);
}

static void translate_parents(const struct collection *all)
{
	size_t n = all->response->n_processes;

	for (size_t i = 0; i < n; i++) {
		const pid_t *parent = bsearch(&all->outer_parents[i], all->outer, n, sizeof(*all->outer), compare_outer);

		all->response->processes[i]->parent = parent ? all->response->processes[parent - all->outer]->pid : 0;
	}
}

static int compare_pids(const void *a, const void *b)
{
	const Cella__Agent__Process *const *one = a, *const *two = b;

	return ((*one)->pid > (*two)->pid) - ((*one)->pid < (*two)->pid);
}

static int set_up(struct collection *all, int proc, pid_t member, struct err *err)
{
	auto_fd dir = -1;
	auto_free char *status = NULL;
	struct timespec now;
	char name[16];

	snprintf(name, sizeof(name), "%d", (int)member);
	dir = openat(proc, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	status = dir < 0 ? NULL : read_small_file(dir, "status");
	all->level = status ? count_levels(status) - 1 : 0;
	if (!status || fstatat(dir, "ns/pid", &all->namespace, 0) < 0)
		return err_msg(err, ESRCH, "the container has no process");
	read_ranges(dir, "uid_map", &all->users);
	read_ranges(dir, "gid_map", &all->groups);
	clock_gettime(CLOCK_BOOTTIME, &now);
	all->now = (uint64_t)now.tv_sec * 100 + (uint64_t)now.tv_nsec / 10000000;
	all->response = malloc(sizeof(*all->response));
	all->outer = calloc(PROCESSES_MAX, sizeof(*all->outer));
	all->outer_parents = calloc(PROCESSES_MAX, sizeof(*all->outer_parents));
	if (!all->response || !all->outer || !all->outer_parents)
		return err_set(err, ENOMEM, "describe processes");
	cella__agent__describe_processes_response__init(all->response);
	all->response->processes = calloc(PROCESSES_MAX, sizeof(*all->response->processes));
	return all->response->processes ? 0 : err_set(err, ENOMEM, "describe processes");
}

static int collect(struct collection *all, pid_t member, struct err *err)
{
	auto_dir proc = opendir("/proc");
	const struct dirent *entry;

	if (!proc)
		return err_set(err, errno, "open /proc");
	if (set_up(all, dirfd(proc), member, err) < 0)
		return -err->code;
	while (all->response->n_processes < PROCESSES_MAX && all->bytes < PROCESSES_BYTES_MAX && (entry = readdir(proc)))
		if (isdigit((unsigned char)*entry->d_name))
			add_process(all, dirfd(proc), entry->d_name);
	translate_parents(all);
	qsort(all->response->processes, all->response->n_processes, sizeof(*all->response->processes), compare_pids);
	return 0;
}

Cella__Agent__DescribeProcessesResponse *processes_describe(pid_t member, struct err *err)
{
	struct collection all = { .response = NULL };
	int ret = collect(&all, member, err);

	free(all.outer);
	free(all.outer_parents);
	if (ret < 0 && all.response)
		cella__agent__describe_processes_response__free_unpacked(ptr_take(&all.response), NULL);
	return all.response;
}
