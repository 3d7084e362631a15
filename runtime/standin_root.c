/* SPDX-License-Identifier: Apache-2.0 */
/* The stand-in's root file system. */
#include "runtime/standin_root.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/path.h"
#include "runtime/share.h"

#define HIDDEN_MAX 32

/* Mounts tree at destination below root, which the image's links cannot lead out of. target: there, or -errno. */
static int attach(int tree, int target, const char *destination, struct err *err)
{
	if (target < 0)
		return err_set(err, -target, "open %s", destination);
	if (move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_set(err, errno, "mount on %s", destination);
	return 0;
}

static bool is_at_or_below(const char *path, const char *directory)
{
	size_t len = strlen(directory);

	return !strncmp(path, directory, len) && (path[len] == '/' || !path[len]);
}

/*
 * What is in the guest's tmpfs is not to be had here, and what lies below it in the root is not the container's: there is an
 * empty file system in its place, read only when everything is there. Nobody copies to where a container's devices are.
 */
static bool is_hidden(const json_t *mount)
{
	const char *destination = json_get_string(mount, "destination", "");

	return !strcmp(json_get_string(mount, "type", ""), "tmpfs") && !is_at_or_below(destination, "/dev") &&
	       !is_at_or_below(destination, "/proc") && !is_at_or_below(destination, "/sys");
}

static int open_empty(struct err *err)
{
	auto_fd fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
	int fd = fs < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 ? -1 : fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV);

	return fd < 0 ? err_set(err, errno, "create an empty file system") : fd;
}

struct root_mounts {
	int root; /* borrowed */
	int hidden[HIDDEN_MAX]; /* owned */
	size_t nhidden;
};

/* The mount point, which the guest has made unless it is in one of its tmpfs. */
static int open_target(const struct root_mounts *mounts, const char *destination, int tree)
{
	int fd = path_open_in_root(mounts->root, destination, O_PATH);
	struct stat st;

	if (fd != -ENOENT || mounts->nhidden == 0)
		return fd;
	if (fstat(tree, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? path_make_directory(mounts->root, destination, 0755) :
				     path_make_file(mounts->root, destination, 0644);
}

static int hide(struct root_mounts *mounts, const json_t *mount, struct err *err)
{
	const char *destination = json_get_string(mount, "destination", "");
	auto_fd tree = mounts->nhidden < HIDDEN_MAX ? open_empty(err) : err_msg(err, E2BIG, "more than %d tmpfs", HIDDEN_MAX), target = -1;

	if (tree < 0)
		return -err->code;
	target = open_target(mounts, destination, tree);
	if (attach(tree, target, destination, err) < 0)
		return -err->code;
	mounts->hidden[mounts->nhidden++] = fd_take(&tree);
	return 0;
}

static int attach_mount(struct root_mounts *mounts, const char *bundle, const json_t *config, int index, struct err *err)
{
	const json_t *mount = json_array_get(json_object_get(config, "mounts"), (size_t)index);
	const char *destination = json_get_string(mount, "destination", "");
	auto_fd tree = -1, target = -1;

	/* overlayfs.rst: a second mount with the same upper directory would take the first one's work directory away. */
	if (!strcmp(json_get_string(mount, "type", ""), "overlay"))
		return 0;
	tree = share_open_bind(bundle, config, index, err);
	if (tree == SHARE_NOT_A_BIND)
		return is_hidden(mount) ? hide(mounts, mount, err) : 0;
	if (tree < 0)
		return -err->code;
	target = open_target(mounts, destination, tree);
	return attach(tree, target, destination, err);
}

static void attach_mounts(int root, const char *bundle, const json_t *config)
{
	struct mount_attr read_only = { .attr_set = MOUNT_ATTR_RDONLY };
	struct root_mounts mounts = { .root = root };
	const json_t *mount;
	struct err err;
	size_t i;

	json_array_foreach(json_object_get(config, "mounts"), i, mount) {
		if (attach_mount(&mounts, bundle, config, (int)i, &err) < 0)
			log_warn("mounts[%zu] is in the container, but not where `podman cp` looks: %s", i, err.msg);
	}
	for (i = 0; i < mounts.nhidden; i++) {
		if (mount_setattr(mounts.hidden[i], "", AT_EMPTY_PATH, &read_only, sizeof(read_only)) < 0)
			log_warn("`podman cp` to a tmpfs is lost: %s", strerror(errno));
		close(mounts.hidden[i]);
	}
}

/* A container without /proc has no use for one here either. Without FUSE there are the stand-ins to be seen. */
static void mount_proc(int root, struct standin_proc *proc)
{
	auto_fd target = path_open_in_root(root, "/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char path[64];
	struct err err;

	if (target < 0 || standin_proc_mount(proc, target, &err) == 0)
		return;
	log_warn("`podman top` shows stand-ins instead of the guest's processes: %s", err.msg);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", target);
	if (mount("proc", path, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		log_debug("mount proc for the stand-in: %s", strerror(errno));
}

int standin_root_enter(const char *bundle, const json_t *config, struct standin_proc *proc, struct err *err)
{
	auto_fd tree = -1, root = -1;
	char path[PATH_MAX];

	proc->fuse = -1;
	/* What happens here stays here. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_set(err, errno, "make the stand-in's mounts private");
	tree = share_open_root(bundle, config, path, err);
	if (tree < 0)
		return -err->code;
	/* Onto itself: a mount point that is certain to exist. */
	if (move_mount(tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_set(err, errno, "mount the stand-in's root");
	root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_set(err, errno, "open %s", path);
	attach_mounts(root, bundle, config);
	mount_proc(root, proc);
	/* pivot_root(2), "pivot_root(".", ".")": the old root ends up below the new one, and goes. */
	if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return err_set(err, errno, "enter the stand-in's root");
	return 0;
}
