/* SPDX-License-Identifier: Apache-2.0 */
/* Id-mapped mounts. */
#include "runtime/id_mapped.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/id_map.h"
#include "lib/json.h"

struct request {
	bool wanted, recursive;
	const json_t *uids, *gids; /* borrowed */
};

static struct request read_request(const json_t *mount, const json_t *config)
{
	const json_t *linux_section = json_object_get(config, "linux"), *entry;
	struct request request = {
		.uids = json_object_get(mount, "uidMappings"),
		.gids = json_object_get(mount, "gidMappings"),
	};
	size_t i;

	request.wanted = request.uids || request.gids;
	json_array_foreach(json_object_get(mount, "options"), i, entry) {
		bool recursive = !strcmp(json_string_value(entry), "ridmap");

		request.wanted |= recursive || !strcmp(json_string_value(entry), "idmap");
		request.recursive |= recursive;
	}
	if (!request.uids && !request.gids) {
		request.uids = json_object_get(linux_section, "uidMappings");
		request.gids = json_object_get(linux_section, "gidMappings");
	}
	return request;
}

/* A process in a user namespace of its own, which waits to be killed. */
static pid_t hold_namespace(void)
{
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, 0);

	if (pid == 0)
		for (;;)
			pause();
	return pid;
}

/* A user namespace with these maps: its descriptor, or -errno. */
static int open_namespace(const struct request *request, struct err *err)
{
	pid_t holder = hold_namespace();
	char path[64];
	int fd = -1, ret;

	if (holder < 0)
		return err_set(err, errno, "create a user namespace");
	ret = id_map_write(holder, "uid_map", request->uids, err);
	if (ret == 0)
		ret = id_map_write(holder, "gid_map", request->gids, err);
	if (ret == 0) {
		snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)holder);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			ret = err_set(err, errno, "open %s", path);
	}
	kill(holder, SIGKILL);
	waitpid(holder, NULL, 0);
	return ret < 0 ? ret : fd;
}

int id_mapped_apply(int fd, const json_t *mount, const json_t *config, struct err *err)
{
	struct request request = read_request(mount, config);
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };
	auto_fd namespace = -1;

	if (!request.wanted)
		return 0;
	namespace = open_namespace(&request, err);
	if (namespace < 0)
		return -err->code;
	attr.userns_fd = (uint64_t)namespace;
	if (mount_setattr(fd, "", AT_EMPTY_PATH | (request.recursive ? AT_RECURSIVE : 0), &attr, sizeof(attr)) < 0)
		return err_set(err, errno, "map the owners of its files (the host's kernel or its file system cannot, or one that is not root asks)");
	return 0;
}
