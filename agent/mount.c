/* SPDX-License-Identifier: Apache-2.0 */
/* The mounts of config.json. An entry is first read into a plan, then the plan is carried out. */
#include "agent/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/copy_up.h"
#include "agent/growth.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/mount_options.h"
#include "lib/path.h"

#define FS_OPTIONS_MAX 64

struct plan {
	const char *type, *source, *destination;
	bool bind, bind_recursive, copy_up, remount, read_only_superblock;
	bool read_only_later; /* mount_finish */
	struct mount_attr attr, recursive_attr;
	uint64_t propagation;
	bool propagation_recursive;
	const char *fs_options[FS_OPTIONS_MAX]; /* "key" or "key=value", borrowed */
	size_t nfs_options;
	const struct shared_mount *shared; /* NULL: not a bind mount from the host */
	const struct disk_mount *disk;	   /* NULL: not on a disk */
};

static int add_option(struct plan *plan, const char *text, struct err *err)
{
	const struct mount_option *option = mount_option_find(text);

	if (option) {
		struct mount_attr *attr = option->recursive ? &plan->recursive_attr : &plan->attr;

		/* The later of two contradicting options wins. */
		attr->attr_set = (attr->attr_set & ~option->attr_clear) | option->attr_set;
		attr->attr_clr = (attr->attr_clr & ~option->attr_set) | option->attr_clear;
		if (option->attr_clear & MOUNT_ATTR__ATIME)
			attr->attr_clr |= MOUNT_ATTR__ATIME;
		plan->bind |= option->bind;
		plan->bind_recursive |= option->bind_recursive;
		plan->copy_up |= option->copy_up;
		plan->remount |= option->remount;
		if (option->propagation) {
			plan->propagation = option->propagation;
			plan->propagation_recursive = option->propagation_recursive;
		}
		if (!option->superblock || !*option->superblock)
			return 0;
		text = option->superblock;
	}
	/* podman 5 has an empty one in the list for systemd's tmpfs. */
	if (!*text)
		return 0;
	if (plan->nfs_options == FS_OPTIONS_MAX)
		return err_msg(err, E2BIG, "more than %d options", FS_OPTIONS_MAX);
	plan->fs_options[plan->nfs_options++] = text;
	return 0;
}

static int make_plan(struct plan *plan, const struct mount_context *context, const json_t *entry, unsigned int index,
		     struct err *err)
{
	const json_t *options = json_object_get(entry, "options"), *option;
	size_t i;

	memset(plan, 0, sizeof(*plan));
	plan->type = json_get_string(entry, "type", "");
	plan->source = json_get_string(entry, "source", plan->type);
	plan->destination = json_get_string(entry, "destination", "");
	if (!strcmp(plan->type, "bind"))
		plan->bind = true;
	json_array_foreach(options, i, option)
		if (add_option(plan, json_string_value(option), err) < 0)
			return -err->code;
	/* A container's cgroup mount is the unified hierarchy: the guest has no other. */
	if (!strcmp(plan->type, "cgroup"))
		plan->type = "cgroup2";
	for (i = 0; i < context->nshared; i++)
		if (context->shared[i].index == index)
			plan->shared = &context->shared[i];
	for (i = 0; context->disks && i < context->disks->n; i++)
		if (context->disks->list[i].index == index)
			plan->disk = &context->disks->list[i];
	/* Also one that the host has mounted for us (an overlay of its directories): its options were the host's. */
	if (plan->shared)
		plan->bind = true;
	plan->read_only_later = plan->attr.attr_set & MOUNT_ATTR_RDONLY && !plan->bind && !strcmp(plan->type, "tmpfs");
	if (plan->read_only_later)
		plan->attr.attr_set &= ~(uint64_t)MOUNT_ATTR_RDONLY;
	plan->read_only_superblock = plan->attr.attr_set & MOUNT_ATTR_RDONLY && !plan->bind;
	return 0;
}

/* A detached copy of what the host shared. */
static int open_bind_source(const struct plan *plan, const struct mount_context *context, struct err *err)
{
	unsigned int flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (plan->bind_recursive ? AT_RECURSIVE : 0);
	int fd;

	if (!plan->shared)
		return err_msg(err, EINVAL, "bind source %s was not shared by the host", plan->source);
	fd = open_tree(context->share, plan->shared->share, flags | AT_SYMLINK_NOFOLLOW);
	return fd < 0 ? err_set(err, errno, "open shared %s", plan->source) : fd;
}

static int set_fs_option(int fs, const char *option)
{
	char key[256];
	const char *equals = strchr(option, '=');

	if (!equals)
		return fsconfig(fs, FSCONFIG_SET_FLAG, option, NULL, 0);
	if ((size_t)(equals - option) >= sizeof(key)) {
		errno = EINVAL;
		return -1;
	}
	memcpy(key, option, (size_t)(equals - option));
	key[equals - option] = '\0';
	return fsconfig(fs, FSCONFIG_SET_STRING, key, equals + 1, 0);
}

/* The kernel explains a refused option in the context's message queue: "e tmpfs: Bad value for 'size'". */
static int explain(int fs, int errnum, const char *what, const char *detail, struct err *err)
{
	char message[256];
	ssize_t n = read(fs, message, sizeof(message) - 1);

	if (n <= 2)
		return err_set(err, errnum, "%s %s", what, detail);
	message[n] = '\0';
	message[strcspn(message, "\n")] = '\0';
	return err_set(err, errnum, "%s %s (%s)", what, detail, message + 2);
}

/*
 * What only the owner of a network or cgroup namespace may mount: in a user namespace without one a container gets the guest's
 * or the pod's, bound.
 */
static int bind_guests(const char *path, struct err *err)
{
	int fd = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

	return fd < 0 ? err_set(err, errno, "bind the guest's %s", path) : fd;
}

static int create_filesystem(const struct plan *plan, struct err *err)
{
	auto_fd fs = fsopen(plan->type, FSOPEN_CLOEXEC);
	int fd;

	if (fs < 0 && errno == EPERM && !strcmp(plan->type, "sysfs"))
		return bind_guests("/sys", err);
	if (fs < 0)
		return err_set(err, errno, "file system type '%s'", plan->type);
	if (fsconfig(fs, FSCONFIG_SET_STRING, "source", plan->source, 0) < 0)
		return explain(fs, errno, "source", plan->source, err);
	for (size_t i = 0; i < plan->nfs_options; i++)
		if (set_fs_option(fs, plan->fs_options[i]) < 0)
			return explain(fs, errno, "option", plan->fs_options[i], err);
	/* Not every file system takes it (proc, sysfs); the mount's attribute holds in any case. */
	if (plan->read_only_superblock && fsconfig(fs, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0 && errno != EINVAL)
		return explain(fs, errno, "option", "ro", err);
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) {
		if (errno == EPERM && !strcmp(plan->type, "cgroup2"))
			return bind_guests(GROWTH_CGROUP, err);
		return explain(fs, errno, "create", plan->type, err);
	}
	fd = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	return fd < 0 ? err_set(err, errno, "mount %s", plan->type) : fd;
}

static int open_source(const struct plan *plan, const struct mount_context *context, struct err *err)
{
	int fd;

	if (plan->bind)
		return open_bind_source(plan, context, err);
	if (!plan->disk)
		return create_filesystem(plan, err);
	fd = fcntl(plan->disk->fd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? err_set(err, errno, "the disk's file system") : fd;
}

static bool source_is_file(const struct plan *plan, int source)
{
	struct stat st;

	if (plan->shared)
		return plan->shared->is_file;
	return fstat(source, &st) == 0 && !S_ISDIR(st.st_mode);
}

static int set_attributes(int fd, const struct plan *plan, bool before_move, struct err *err)
{
	struct mount_attr attr = plan->attr, recursive = plan->recursive_attr;
	struct mount_attr propagation = { .propagation = plan->propagation };

	if (!before_move) {
		if (propagation.propagation &&
		    mount_setattr(fd, "", AT_EMPTY_PATH | (plan->propagation_recursive ? AT_RECURSIVE : 0), &propagation,
				  sizeof(propagation)) < 0)
			return err_set(err, errno, "set the propagation");
		return 0;
	}
	if ((attr.attr_set || attr.attr_clr) && mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return err_set(err, errno, "set the mount's attributes");
	if ((recursive.attr_set || recursive.attr_clr) &&
	    mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &recursive, sizeof(recursive)) < 0)
		return err_set(err, errno, "set the mounts' attributes");
	return 0;
}

static int open_target(const struct mount_context *context, const struct plan *plan, bool file, struct err *err)
{
	int fd = file ? path_make_file(context->rootfs, plan->destination, 0644) :
			path_make_directory(context->rootfs, plan->destination, 0755);

	return fd < 0 ? err_set(err, -fd, "mount target") : fd;
}

/* "remount" changes what is there already. */
static int remount(const struct mount_context *context, const struct plan *plan, struct err *err)
{
	auto_fd target = path_open_in_root(context->rootfs, plan->destination, O_PATH);

	if (target < 0)
		return err_set(err, -target, "mount target");
	return set_attributes(target, plan, true, err);
}

static int carry_out(const struct mount_context *context, const struct plan *plan, struct err *err)
{
	auto_fd source = -1, target = -1;
	int ret;

	if (plan->remount)
		return remount(context, plan, err);
	source = open_source(plan, context, err);
	if (source < 0)
		return -err->code;
	target = open_target(context, plan, source_is_file(plan, source), err);
	if (target < 0)
		return -err->code;
	if (plan->copy_up) {
		ret = copy_up(target, source, err);
		if (ret < 0)
			return ret;
	}
	ret = set_attributes(source, plan, true, err);
	if (ret < 0)
		return ret;
	if (move_mount(source, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_set(err, errno, "attach");
	return set_attributes(source, plan, false, err);
}

int mount_create(const json_t *entry, struct err *err)
{
	const struct mount_context none = { .rootfs = -1, .share = -1 };
	struct plan plan;

	return make_plan(&plan, &none, entry, 0, err) < 0 ? -err->code : create_filesystem(&plan, err);
}

int mount_entry(const struct mount_context *context, const json_t *entry, unsigned int index, struct err *err)
{
	struct plan plan;

	if (make_plan(&plan, context, entry, index, err) < 0 || carry_out(context, &plan, err) < 0)
		return err_wrap(err, "mounts[%u] (%s on %s)", index, plan.type, plan.destination);
	return 0;
}

static int set_read_only(const struct mount_context *context, const struct plan *plan, struct err *err)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	auto_fd target = path_open_in_root(context->rootfs, plan->destination, O_PATH);

	if (target < 0)
		return err_set(err, -target, "mount target");
	return mount_setattr(target, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0 ? err_set(err, errno, "make it read only") : 0;
}

int mount_finish(const struct mount_context *context, const json_t *entry, unsigned int index, struct err *err)
{
	struct plan plan;

	if (make_plan(&plan, context, entry, index, err) < 0 || (plan.read_only_later && set_read_only(context, &plan, err) < 0))
		return err_wrap(err, "mounts[%u] (%s on %s)", index, plan.type, plan.destination);
	return 0;
}

int mount_mask(int rootfs, int guest_dev, const char *path, struct err *err)
{
	auto_fd target = path_open_in_root(rootfs, path, O_PATH);
	auto_fd cover = -1;
	struct stat st;

	/* What is not there needs no mask (config-linux.md, "Masked Paths", as runc does it). */
	if (target == -ENOENT || target == -ENOTDIR)
		return 0;
	if (target < 0 || fstat(target, &st) < 0)
		return err_set(err, target < 0 ? -target : errno, "linux.maskedPaths: %s", path);
	if (S_ISDIR(st.st_mode)) {
		struct plan plan = { .type = "tmpfs", .source = "tmpfs", .read_only_superblock = true };

		cover = create_filesystem(&plan, err);
		if (cover < 0)
			return err_wrap(err, "linux.maskedPaths: %s", path);
	} else {
		cover = open_tree(guest_dev, "null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	}
	if (cover < 0 || move_mount(cover, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_set(err, errno, "linux.maskedPaths: %s", path);
	return 0;
}

int mount_read_only(int rootfs, const char *path, struct err *err)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	auto_fd target = path_open_in_root(rootfs, path, O_PATH);
	auto_fd clone = -1;

	if (target == -ENOENT || target == -ENOTDIR)
		return 0;
	if (target < 0)
		return err_set(err, -target, "linux.readonlyPaths: %s", path);
	clone = open_tree(target, "", AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (clone < 0 || mount_setattr(clone, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0 ||
	    move_mount(clone, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_set(err, errno, "linux.readonlyPaths: %s", path);
	return 0;
}
