/* SPDX-License-Identifier: Apache-2.0 */
/* A container's root file system. */
#include "agent/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/devices.h"
#include "agent/guest.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/mount_options.h"
#include "lib/path.h"

#define ROOTFS_PATH "/tmp"

/* Propagation of the guest's mounts into this namespace while the container is set up: none comes back. */
static int isolate_mounts(struct err *err)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_set(err, errno, "isolate the mounts");
	return 0;
}

static int open_shared(const char *name, struct err *err)
{
	auto_fd share = open(GUEST_SHARE, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int tree = share < 0 ? -1 :
			       open_tree(share, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW);

	return tree < 0 ? err_set(err, errno, "open the root file system") : tree;
}

/* The shared directory or the disk on ROOTFS_PATH, as a mount of its own: pivot_root(2) needs one. */
static int mount_root(const struct rootfs_plan *plan, struct err *err)
{
	auto_fd tree = -1;
	int fd;

	/* A disk's was mounted by the agent: device rules and user namespaces are the container's, not the runtime's. */
	tree = plan->disks->root < 0 ? open_shared(plan->share, err) : fcntl(plan->disks->root, F_DUPFD_CLOEXEC, 0);
	if (tree < 0)
		return plan->disks->root < 0 ? -err->code : err_set(err, errno, "the root's disk");
	if (move_mount(tree, "", AT_FDCWD, ROOTFS_PATH, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_set(err, errno, "mount the root file system");
	fd = open(ROOTFS_PATH, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_set(err, errno, "open the root file system") : fd;
}

typedef int mount_step(const struct mount_context *context, const json_t *entry, unsigned int index, struct err *err);

static int for_each_mount(const struct rootfs_plan *plan, int rootfs, mount_step *step, struct err *err)
{
	auto_fd share = open(GUEST_SHARE, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct mount_context context = {
		.rootfs = rootfs,
		.share = share,
		.shared = plan->shared,
		.nshared = plan->nshared,
		.disks = plan->disks,
	};
	const json_t *mounts = json_object_get(plan->config, "mounts"), *entry;
	size_t i;

	if (share < 0)
		return err_set(err, errno, "open %s", GUEST_SHARE);
	json_array_foreach(mounts, i, entry) {
		int ret = step(&context, entry, (unsigned int)i, err);

		if (ret < 0)
			return ret;
	}
	return 0;
}

static int bind_console(int rootfs, int console, struct err *err)
{
	auto_fd source = open_tree(console, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	auto_fd target = path_make_file(rootfs, "/dev/console", 0600);

	if (target < 0)
		return err_set(err, -target, "create /dev/console");
	if (source < 0 || move_mount(source, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_set(err, errno, "bind /dev/console");
	return 0;
}

static int for_each_path(const json_t *linux_section, const char *name, int rootfs, int guest_dev, struct err *err)
{
	const json_t *paths = json_object_get(linux_section, name), *path;
	bool mask = !strcmp(name, "maskedPaths");
	size_t i;

	json_array_foreach(paths, i, path) {
		const char *text = json_string_value(path);
		int ret = !text ? 0 : mask ? mount_mask(rootfs, guest_dev, text, err) : mount_read_only(rootfs, text, err);

		if (ret < 0)
			return ret;
	}
	return 0;
}

/* linux.rootfsPropagation: the spec's values are the names of propagation options. */
static int set_root_propagation(const json_t *linux_section, struct err *err)
{
	const char *name = json_get_string(linux_section, "rootfsPropagation", "");
	const struct mount_option *option = mount_option_find(name);
	struct mount_attr attr = { 0 };

	if (!*name)
		return 0;
	if (!option || !option->propagation)
		return err_msg(err, EINVAL, "linux.rootfsPropagation: '%s' is not a propagation", name);
	attr.propagation = option->propagation;
	if (mount_setattr(AT_FDCWD, "/", option->propagation_recursive ? AT_RECURSIVE : 0, &attr, sizeof(attr)) < 0)
		return err_set(err, errno, "linux.rootfsPropagation: %s", name);
	return 0;
}

/*
 * As runc: a working directory that is missing is made, while the root can still be written. If it cannot, the process says so
 * that is to go there.
 */
static void make_working_directory(const struct rootfs_plan *plan, int rootfs)
{
	const char *path = json_get_string(json_object_get(plan->config, "process"), "cwd", "/");
	auto_fd there = path_open_in_root(rootfs, path, O_PATH);
	auto_fd made = there == -ENOENT ? path_make_directory(rootfs, path, 0755) : -1;

	(void)made;
}

static int pivot(int rootfs, struct err *err)
{
	/* pivot_root(2), NOTES: the old root ends up on top of the new one and is detached from there. */
	if (fchdir(rootfs) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return err_set(err, errno, "pivot to the root file system");
	return 0;
}

int rootfs_enter(const struct rootfs_plan *plan, int (*open_terminal)(void *ctx, int rootfs, struct err *err), void *ctx,
		 struct err *err)
{
	const json_t *linux_section = json_object_get(plan->config, "linux");
	const json_t *root = json_object_get(plan->config, "root");
	struct mount_attr read_only = { .attr_set = MOUNT_ATTR_RDONLY };
	auto_fd guest_dev = open("/dev", O_PATH | O_DIRECTORY | O_CLOEXEC);
	auto_fd rootfs = -1;
	int ret;

	if (guest_dev < 0)
		return err_set(err, errno, "open /dev");
	ret = isolate_mounts(err);
	if (ret < 0)
		return ret;
	rootfs = mount_root(plan, err);
	if (rootfs < 0)
		return -err->code;
	ret = for_each_mount(plan, rootfs, mount_entry, err);
	if (ret == 0)
		ret = devices_create(rootfs, guest_dev, plan->id, json_object_get(linux_section, "devices"), err);
	if (ret == 0 && open_terminal) {
		int console = open_terminal(ctx, rootfs, err);

		ret = console < 0 ? console : bind_console(rootfs, console, err);
	}
	if (ret == 0)
		ret = for_each_mount(plan, rootfs, mount_finish, err);
	if (ret == 0) {
		make_working_directory(plan, rootfs);
		ret = for_each_path(linux_section, "readonlyPaths", rootfs, guest_dev, err);
	}
	if (ret == 0)
		ret = for_each_path(linux_section, "maskedPaths", rootfs, guest_dev, err);
	if (ret == 0)
		ret = pivot(rootfs, err);
	if (ret == 0 && json_get_bool(root, "readonly", false) &&
	    mount_setattr(AT_FDCWD, "/", 0, &read_only, sizeof(read_only)) < 0)
		ret = err_set(err, errno, "root.readonly");
	if (ret == 0)
		ret = set_root_propagation(linux_section, err);
	return ret;
}
