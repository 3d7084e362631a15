/* SPDX-License-Identifier: Apache-2.0 */
/* Device nodes. */
#include "agent/devices.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/spawn.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/path.h"

#define STAGE ".containers" /* in the guest's /dev: what linux.devices have, by container and index */

struct node {
	const char *path;
	mode_t type, mode;
	unsigned int major, minor;
	uid_t uid;
	gid_t gid;
};

static const struct node default_nodes[] = {
	{ "/dev/null", S_IFCHR, 0666, 1, 3, 0, 0 },   { "/dev/zero", S_IFCHR, 0666, 1, 5, 0, 0 },
	{ "/dev/full", S_IFCHR, 0666, 1, 7, 0, 0 },   { "/dev/random", S_IFCHR, 0666, 1, 8, 0, 0 },
	{ "/dev/urandom", S_IFCHR, 0666, 1, 9, 0, 0 }, { "/dev/tty", S_IFCHR, 0666, 5, 0, 0, 0 },
};

static const char *const links[][2] = {
	{ "/proc/self/fd", "fd" },
	{ "/proc/self/fd/0", "stdin" },
	{ "/proc/self/fd/1", "stdout" },
	{ "/proc/self/fd/2", "stderr" },
	{ "pts/ptmx", "ptmx" },
};

/* In a user namespace, or where the host has no attributes for it, mknod(2) is refused: a node in the guest's /dev is bound instead. */
static int bind_node(int parent, const char *name, int guest_dev, const char *guest_name)
{
	auto_fd source = open_tree(guest_dev, guest_name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	auto_fd target = -1;

	if (source < 0)
		return -errno;
	target = openat(parent, name, O_CREAT | O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0666);
	if (target < 0 || move_mount(source, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return -errno;
	return 0;
}

static int create_node(int rootfs, int guest_dev, const char *guest_name, const struct node *node)
{
	char directory[PATH_MAX];
	const char *slash = strrchr(node->path, '/');
	auto_fd parent = -1;

	if (!slash || slash[1] == '\0' || (size_t)(slash - node->path) >= sizeof(directory))
		return -EINVAL;
	memcpy(directory, node->path, (size_t)(slash - node->path));
	directory[slash - node->path] = '\0';
	parent = path_make_directory(rootfs, directory, 0755);
	if (parent < 0)
		return parent;
	if (mknodat(parent, slash + 1, node->type | node->mode, makedev(node->major, node->minor)) < 0) {
		struct stat st;

		if (errno == EEXIST && fstatat(parent, slash + 1, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    (st.st_mode & S_IFMT) == node->type &&
		    (node->type == S_IFIFO || st.st_rdev == makedev(node->major, node->minor)))
			return 0;
		if (errno != EPERM && errno != EEXIST)
			return -errno;
		return bind_node(parent, slash + 1, guest_dev, guest_name);
	}
	/* The umask has taken bits from the mode. */
	if (fchmodat(parent, slash + 1, node->mode, 0) < 0 ||
	    fchownat(parent, slash + 1, node->uid, node->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

static int node_from_spec(const json_t *device, struct node *node)
{
	const char *type = json_get_string(device, "type", "");

	*node = (struct node){
		.path = json_get_string(device, "path", ""),
		.mode = (mode_t)json_get_integer(device, "fileMode", 0666) & 07777,
		.major = (unsigned int)json_get_integer(device, "major", 0),
		.minor = (unsigned int)json_get_integer(device, "minor", 0),
		.uid = (uid_t)json_get_integer(device, "uid", 0),
		.gid = (gid_t)json_get_integer(device, "gid", 0),
	};
	if (!strcmp(type, "c") || !strcmp(type, "u"))
		node->type = S_IFCHR;
	else if (!strcmp(type, "b"))
		node->type = S_IFBLK;
	else if (!strcmp(type, "p"))
		node->type = S_IFIFO;
	else
		return -EINVAL;
	return 0;
}

static int stage_node(int stage, const json_t *config, const struct node *node, size_t index)
{
	char name[24];

	snprintf(name, sizeof(name), "%zu", index);
	if (mknodat(stage, name, node->type | node->mode, makedev(node->major, node->minor)) < 0 ||
	    fchmodat(stage, name, node->mode, 0) < 0 ||
	    fchownat(stage, name, spawn_guest_id(config, "uidMappings", node->uid), spawn_guest_id(config, "gidMappings", node->gid),
		     AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

int devices_stage(const char *id, const json_t *config, struct err *err)
{
	const json_t *devices = json_object_get(json_object_get(config, "linux"), "devices"), *device;
	char path[PATH_MAX];
	auto_fd stage = -1;
	size_t i;

	if (json_array_size(devices) == 0)
		return 0;
	snprintf(path, sizeof(path), "/dev/" STAGE "/%s", id);
	if ((mkdir("/dev/" STAGE, 0711) < 0 && errno != EEXIST) || mkdir(path, 0711) < 0)
		return err_set(err, errno, "linux.devices: create %s", path);
	stage = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (stage < 0)
		return err_set(err, errno, "linux.devices: open %s", path);
	json_array_foreach(devices, i, device) {
		struct node node;
		int ret = node_from_spec(device, &node);

		if (ret == 0)
			ret = stage_node(stage, config, &node, i);
		if (ret < 0)
			return err_set(err, -ret, "linux.devices[%zu]: create device %s", i, node.path);
	}
	return 0;
}

void devices_unstage(const char *id)
{
	char path[PATH_MAX];
	struct err err;

	snprintf(path, sizeof(path), "/dev/" STAGE "/%s", id);
	if (*id && access(path, F_OK) == 0 && io_remove_tree(AT_FDCWD, path, &err) < 0)
		log_warn("%s", err.msg);
}

static int create_default_nodes(int rootfs, int guest_dev, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(default_nodes); i++) {
		const struct node *node = &default_nodes[i];
		int ret = create_node(rootfs, guest_dev, strrchr(node->path, '/') + 1, node);

		if (ret < 0)
			return err_set(err, -ret, "create device %s", node->path);
	}
	return 0;
}

int devices_create(int rootfs, int guest_dev, const char *id, const json_t *devices, struct err *err)
{
	auto_fd dev = -1;
	const json_t *device;
	size_t i;

	if (create_default_nodes(rootfs, guest_dev, err) < 0)
		return -err->code;
	json_array_foreach(devices, i, device) {
		char staged[PATH_MAX];
		struct node node;
		int ret = node_from_spec(device, &node);

		snprintf(staged, sizeof(staged), STAGE "/%s/%zu", id, i);
		if (ret == 0)
			ret = create_node(rootfs, guest_dev, staged, &node);
		if (ret < 0)
			return err_set(err, -ret, "linux.devices[%zu]: create device %s", i, node.path);
	}
	dev = path_open_in_root(rootfs, "/dev", O_PATH | O_DIRECTORY);
	if (dev < 0)
		return err_set(err, -dev, "open /dev");
	for (i = 0; i < ARRAY_SIZE(links); i++)
		if (symlinkat(links[i][0], dev, links[i][1]) < 0 && errno != EEXIST)
			return err_set(err, errno, "create /dev/%s", links[i][1]);
	return 0;
}
