/* SPDX-License-Identifier: Apache-2.0 */
/* The stand-in's root file system. */
#include "runtime/standin_root.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/path.h"
#include "runtime/share.h"

/* Mounts tree at destination below root, which the image's links cannot lead out of. */
static int attach(int root, int tree, const char *destination, struct err *err)
{
	auto_fd target = path_open_in_root(root, destination, O_PATH | O_CLOEXEC);

	if (target < 0)
		return err_set(err, -target, "open %s", destination);
	if (move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_set(err, errno, "mount on %s", destination);
	return 0;
}

static void attach_binds(int root, const char *bundle, const json_t *config)
{
	const json_t *mounts = json_object_get(config, "mounts"), *mount;
	struct err err;
	size_t i;

	json_array_foreach(mounts, i, mount) {
		auto_fd tree = -1;

		/* overlayfs.rst: a second mount with the same upper directory would take the first one's work directory away. */
		if (!strcmp(json_get_string(mount, "type", ""), "overlay"))
			continue;
		tree = share_open_bind(bundle, config, (int)i, &err);
		if (tree == SHARE_NOT_A_BIND)
			continue;
		if (tree < 0 || attach(root, tree, json_get_string(mount, "destination", ""), &err) < 0)
			log_warn("mounts[%zu] is in the container, but not where `podman cp` looks: %s", i, err.msg);
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
	attach_binds(root, bundle, config);
	mount_proc(root, proc);
	/* pivot_root(2), "pivot_root(".", ".")": the old root ends up below the new one, and goes. */
	if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return err_set(err, errno, "enter the stand-in's root");
	return 0;
}
