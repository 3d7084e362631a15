/* SPDX-License-Identifier: Apache-2.0 */
/* Detached mounts for the VMM's file server. */
#include "runtime/share.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/mount_options.h"
#include "lib/path.h"
#include "runtime/disks.h"
#include "runtime/id_mapped.h"
#include "runtime/overlay.h"

void share_name(char out[SHARE_NAME_MAX], const char *prefix, int mount_index)
{
	if (mount_index < 0)
		snprintf(out, SHARE_NAME_MAX, "%srootfs", prefix);
	else
		snprintf(out, SHARE_NAME_MAX, "%smount%d", prefix, mount_index);
}

int share_add(struct share_list *list, int fd, int mount_index, struct err *err)
{
	struct share *share = &list->shares[list->n];
	char directory[SHARE_DIRECTORY_MAX], name[SHARE_NAME_MAX];
	struct stat st;

	if (list->n == SHARES_MAX || fstat(fd, &st) < 0) {
		close(fd);
		return err_msg(err, E2BIG, "more than %d bind mounts", SHARES_MAX);
	}
	share->fd = fd;
	share->mount_index = mount_index;
	share->is_file = !S_ISDIR(st.st_mode);
	share->is_socket = S_ISSOCK(st.st_mode);
	share_name(name, list->prefix, mount_index);
	share_directory(directory, st.st_dev);
	strcpy(share->name, name);
	snprintf(share->path, sizeof(share->path), "%s/%s", directory, name);
	list->n++;
	return 0;
}

/* A path of the spec: absolute, or relative to the bundle. */
static int full_path(char out[PATH_MAX], const char *bundle, const char *path)
{
	int n = *path == '/' ? snprintf(out, PATH_MAX, "%s", path) : snprintf(out, PATH_MAX, "%s/%s", bundle, path);

	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* What the file server and the stand-in have for a root that is a disk: nothing. */
static int open_empty_root(struct err *err)
{
	auto_fd fs = fsopen("tmpfs", FSOPEN_CLOEXEC), fd = -1;

	if (fs < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return err_set(err, errno, "root.path: create an empty directory");
	fd = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV | MOUNT_ATTR_RDONLY);
	return fd < 0 ? err_set(err, errno, "root.path: create an empty directory") : fd_take(&fd);
}

int share_open_root(const char *bundle, const json_t *config, char full[PATH_MAX], struct err *err)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NODEV };
	const char *path = json_get_string(json_object_get(config, "root"), "path", "");
	auto_fd fd = -1;
	struct stat st;

	if (full_path(full, bundle, path) < 0)
		return err_set(err, ENAMETOOLONG, "root.path '%s'", path);
	if (disks_is_root(config)) {
		strcpy(full, bundle); /* a directory to mount it on */
		return open_empty_root(err);
	}
	fd = open_tree(AT_FDCWD, full, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (fd < 0)
		return err_set(err, errno, "root.path: open root file system %s", full);
	if (fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode))
		return err_set(err, ENOTDIR, "root.path: %s", full);
	/* Device nodes mean nothing in a shared directory; the file server refuses them, too. */
	if (mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return err_set(err, errno, "root.path: restrict %s", full);
	return fd_take(&fd);
}

int share_open_bind(const char *bundle, const json_t *config, int index, struct err *err)
{
	const json_t *mount = json_array_get(json_object_get(config, "mounts"), (size_t)index);
	struct mount_request bind = mount_options_read(mount);
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NODEV | (bind.read_only ? MOUNT_ATTR_RDONLY : 0) };
	struct mount_attr recursive = { .attr_set = MOUNT_ATTR_NODEV | (bind.read_only_recursive ? MOUNT_ATTR_RDONLY : 0) };
	const char *source = json_get_string(mount, "source", "");
	char full[PATH_MAX];
	auto_fd fd = -1;

	if (!strcmp(json_get_string(mount, "type", ""), "overlay"))
		return overlay_open(mount, index, err);
	if (!bind.bind)
		return SHARE_NOT_A_BIND;
	if (!*source || full_path(full, bundle, source) < 0)
		return err_msg(err, EINVAL, "mounts[%d].source: expected a path, found '%s'", index, source);
	fd = open_tree(AT_FDCWD, full, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (bind.recursive ? AT_RECURSIVE : 0));
	if (fd < 0)
		return err_set(err, errno, "mounts[%d]: open bind source %s", index, full);
	if (mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0 ||
	    mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &recursive, sizeof(recursive)) < 0)
		return err_set(err, errno, "mounts[%d]: restrict %s", index, full);
	if (id_mapped_apply(fd, mount, config, err) < 0)
		return err_wrap(err, "mounts[%d]", index);
	return fd_take(&fd);
}

int share_open_socket(const char *bundle, const json_t *config, int index, const char *path)
{
	const json_t *mount = json_array_get(json_object_get(config, "mounts"), (size_t)index);
	auto_fd source = -1, fd = -1;
	char full[PATH_MAX];
	struct stat st;

	if (full_path(full, bundle, json_get_string(mount, "source", "")) < 0)
		return -ENAMETOOLONG;
	source = open(full, O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd = source < 0 ? -1 : path_open_in_root(source, path, O_PATH | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode))
		return -ENOENT;
	return open_tree(fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
}

int share_open_all(struct share_list *list, const char *prefix, const char *bundle, const json_t *config, struct err *err)
{
	const json_t *mounts = json_object_get(config, "mounts"), *mount;
	char path[PATH_MAX];
	size_t i;
	int fd;

	list->n = 0;
	list->prefix = prefix;
	fd = share_open_root(bundle, config, path, err);
	if (fd < 0 || share_add(list, fd, -1, err) < 0)
		return -err->code;
	json_array_foreach(mounts, i, mount) {
		fd = share_open_bind(bundle, config, (int)i, err);
		if (fd == SHARE_NOT_A_BIND)
			continue;
		if (fd < 0 || share_add(list, fd, (int)i, err) < 0)
			return -err->code;
	}
	return 0;
}

void share_close_all(struct share_list *list)
{
	while (list->n > 0)
		close(list->shares[--list->n].fd);
}
