/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup v2: Documentation/admin-guide/cgroup-v2.rst. */
#include "lib/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"

#define FILE_MAX_BYTES (1 << 20)
#define FREEZE_TIMEOUT_MS 10000

static int full_path(char *out, size_t size, const struct cgroup *cgroup, const char *file)
{
	int n = snprintf(out, size, "%s%s%s", cgroup->path, *file ? "/" : "", file);

	return n < (int)size ? 0 : -ENAMETOOLONG;
}

int cgroup_write(const struct cgroup *cgroup, const char *file, const char *value, struct err *err)
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

bool cgroup_path_leads_up(const char *path)
{
	size_t len = strlen(path);

	return !strcmp(path, "..") || !strncmp(path, "../", 3) || strstr(path, "/../") || (len >= 3 && !strcmp(path + len - 3, "/.."));
}

/* systemd's form slice:prefix:name, or a path. */
int cgroup_name(struct cgroup *cgroup, const char *cgroups_path, const char *id, struct err *err)
{
	const char *path = cgroups_path && *cgroups_path ? cgroups_path : id;
	const char *first = strchr(path, ':'), *second = first ? strchr(first + 1, ':') : NULL;
	const char *root = CGROUP_ROOT "/";
	int n;

	path += strspn(path, "/");
	if (second)
		n = snprintf(cgroup->path, sizeof(cgroup->path), "%s%.*s%s%.*s%s%s.scope", root, (int)(first - path), path,
			     first > path ? "/" : "", (int)(second - first - 1), first + 1, second > first + 1 ? "-" : "",
			     second + 1);
	else
		n = snprintf(cgroup->path, sizeof(cgroup->path), "%s%s", root, path);
	if (n >= (int)sizeof(cgroup->path))
		return err_set(err, ENAMETOOLONG, "linux.cgroupsPath '%s'", path);
	if (!*path || !cgroup->path[strlen(root)] || cgroup_path_leads_up(cgroup->path))
		return err_msg(err, EINVAL, "linux.cgroupsPath '%s': not a name below the root of all cgroups", path);
	return 0;
}

int cgroup_create(const struct cgroup *cgroup, bool *ret_created, struct err *err)
{
	char path[PATH_MAX];
	char *slash = path + strlen(CGROUP_ROOT);

	strcpy(path, cgroup->path);
	delegate(CGROUP_ROOT);
	*ret_created = false;
	while ((slash = strchr(slash + 1, '/'))) {
		*slash = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return err_set(err, errno, "create cgroup %s", path);
		delegate(path);
		*slash = '/';
	}
	*ret_created = mkdir(path, 0755) == 0;
	return *ret_created || errno == EEXIST ? 0 : err_set(err, errno, "create cgroup %s", path);
}

int cgroup_of_process(struct cgroup *cgroup, pid_t pid, struct err *err)
{
	auto_free char *text = NULL;
	char path[64], *line, *rest;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	text = io_read_file(AT_FDCWD, path, FILE_MAX_BYTES, NULL, err);
	if (!text)
		return -err->code;
	rest = text;
	/* cgroup-v2.rst: the unified hierarchy's line is the one with number 0. */
	while ((line = strsep(&rest, "\n")))
		if (!strncmp(line, "0::/", 4) &&
		    snprintf(cgroup->path, sizeof(cgroup->path), "%s%s", CGROUP_ROOT, line + 3) < (int)sizeof(cgroup->path))
			return 0;
	return err_msg(err, ENOENT, "process %d is in no cgroup of version 2", (int)pid);
}

int cgroup_add_process(const struct cgroup *cgroup, pid_t pid, struct err *err)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", (int)pid);
	return cgroup_write(cgroup, "cgroup.procs", text, err);
}

int cgroup_kill(const struct cgroup *cgroup, struct err *err)
{
	return cgroup_write(cgroup, "cgroup.kill", "1", err);
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

char *cgroup_read(const struct cgroup *cgroup, const char *file)
{
	char path[PATH_MAX + 64];
	struct err ignored;

	if (full_path(path, sizeof(path), cgroup, file) < 0)
		return NULL;
	return io_read_file(AT_FDCWD, path, FILE_MAX_BYTES, NULL, &ignored);
}

int64_t cgroup_counter(const struct cgroup *cgroup, const char *file, const char *name)
{
	auto_free char *text = cgroup_read(cgroup, file);
	size_t len = strlen(name);
	char *line, *rest = text;

	while (rest && (line = strsep(&rest, "\n")))
		if (!strncmp(line, name, len) && line[len] == ' ')
			return strtoll(line + len + 1, NULL, 10);
	return -1;
}

int64_t cgroup_number(const struct cgroup *cgroup, const char *file)
{
	auto_free char *text = cgroup_read(cgroup, file);
	char *end;
	int64_t number;

	if (!text)
		return -1;
	number = strtoll(text, &end, 10);
	return end != text ? number : -1;
}

int cgroup_freeze(const struct cgroup *cgroup, bool frozen, struct err *err)
{
	char path[PATH_MAX + 64];
	int64_t deadline = io_now_ms() + FREEZE_TIMEOUT_MS;
	auto_fd events = -1;

	if (cgroup_write(cgroup, "cgroup.freeze", frozen ? "1" : "0", err) < 0)
		return -err->code;
	if (full_path(path, sizeof(path), cgroup, "cgroup.events") < 0)
		return err_set(err, ENAMETOOLONG, "cgroup %s", cgroup->path);
	events = open(path, O_RDONLY | O_CLOEXEC);
	if (events < 0)
		return err_set(err, errno, "open %s", path);
	while ((cgroup_counter(cgroup, "cgroup.events", "frozen") > 0) != frozen) {
		struct pollfd pfd = { .fd = events, .events = POLLPRI };

		/* Short slices: a change between our look and this call would not wake it. */
		if (io_now_ms() > deadline)
			return err_msg(err, ETIMEDOUT, "the processes do not %s", frozen ? "freeze" : "thaw");
		if (poll(&pfd, 1, 20) < 0 && errno != EINTR)
			return err_set(err, errno, "wait for the cgroup");
	}
	return 0;
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
