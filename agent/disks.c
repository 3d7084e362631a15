/* SPDX-License-Identifier: Apache-2.0 */
/* The host's block devices in the guest. */
#include "agent/disks.h"

#include <dirent.h>
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

#include "agent/guest.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/json.h"

#define BLOCK "/sys/class/block"

static bool has_serial(const char *name, const char *id)
{
	char path[PATH_MAX];
	struct err ignored;
	auto_free char *serial = NULL;

	snprintf(path, sizeof(path), BLOCK "/%s/serial", name);
	serial = io_read_file(AT_FDCWD, path, 256, NULL, &ignored);
	if (serial)
		serial[strcspn(serial, "\n")] = '\0';
	return serial && !strcmp(serial, id);
}

/* virtio-blk's serial number is the id that the VMM was given. */
static int find_disk(const char *id, char name[NAME_MAX + 1], unsigned int *major, unsigned int *minor, struct err *err)
{
	DIR *directory = opendir(BLOCK);
	struct dirent *entry;
	int ret = -1;

	if (!directory)
		return err_set(err, errno, "open " BLOCK);
	while (ret < 0 && (entry = readdir(directory))) {
		char path[PATH_MAX];
		auto_free char *numbers = NULL;

		if (*entry->d_name == '.' || !has_serial(entry->d_name, id))
			continue;
		snprintf(path, sizeof(path), BLOCK "/%s/dev", entry->d_name);
		numbers = io_read_file(AT_FDCWD, path, 64, NULL, err);
		if (numbers && sscanf(numbers, "%u:%u", major, minor) == 2) {
			strcpy(name, entry->d_name);
			ret = 0;
		}
	}
	closedir(directory);
	return ret < 0 ? err_msg(err, ENODEV, "there is no disk %s", id) : 0;
}

static void set_numbers(json_t *entry, unsigned int major, unsigned int minor)
{
	json_object_set_new(entry, "major", json_integer(major));
	json_object_set_new(entry, "minor", json_integer(minor));
}

static int translate_device(json_t *config, const Cella__Agent__Disk *disk, struct err *err)
{
	json_t *linux_section = json_object_get(config, "linux"), *rule;
	json_t *device = json_array_get(json_object_get(linux_section, "devices"), disk->index);
	int64_t host_major = json_get_integer(device, "major", -1), host_minor = json_get_integer(device, "minor", -1);
	unsigned int major, minor;
	char name[NAME_MAX + 1];
	size_t i;

	if (!device)
		return err_msg(err, EINVAL, "linux.devices[%u]: there is no such entry", disk->index);
	if (find_disk(disk->id, name, &major, &minor, err) < 0)
		return err_wrap(err, "linux.devices[%u]", disk->index);
	set_numbers(device, major, minor);
	json_array_foreach(json_object_get(json_object_get(linux_section, "resources"), "devices"), i, rule)
		if (*json_get_string(rule, "type", "") == 'b' && json_get_integer(rule, "major", -1) == host_major &&
		    json_get_integer(rule, "minor", -1) == host_minor)
			set_numbers(rule, major, minor);
	return 0;
}

/* The node that the guest's kernel has made in its /dev (devtmpfs). */
static int translate_path(json_t *object, const char *key, const Cella__Agent__Disk *disk, struct err *err)
{
	char name[NAME_MAX + 1], path[NAME_MAX + 8];
	unsigned int major, minor;

	if (!object)
		return err_msg(err, EINVAL, "disk %s: config.json has no place for it", disk->id);
	if (find_disk(disk->id, name, &major, &minor, err) < 0)
		return -err->code;
	snprintf(path, sizeof(path), "/dev/%s", name);
	json_object_set_new(object, key, json_string(path));
	return 0;
}

static int translate(json_t *config, const Cella__Agent__Disk *disk, struct err *err)
{
	switch (disk->place) {
	case CELLA__AGENT__DISK__PLACE__ROOT:
		return translate_path(json_object_get(config, "root"), "path", disk, err) < 0 ? err_wrap(err, "root.path") : 0;
	case CELLA__AGENT__DISK__PLACE__MOUNT:
		if (translate_path(json_array_get(json_object_get(config, "mounts"), disk->index), "source", disk, err) < 0)
			return err_wrap(err, "mounts[%u].source", disk->index);
		return 0;
	default:
		return translate_device(config, disk, err);
	}
}

/* A file system on a block device, of whichever type takes it: /proc/filesystems lists those that need one. */
static int mount_root(const json_t *root, struct err *err)
{
	const char *path = json_get_string(root, "path", "");
	auto_free char *types = io_read_file(AT_FDCWD, "/proc/filesystems", 16384, NULL, err);
	char *save = NULL;

	if (!types)
		return -err->code;
	for (char *line = strtok_r(types, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		auto_fd fs = *line == '\t' ? fsopen(line + 1, FSOPEN_CLOEXEC) : -1;
		int fd;

		if (fs < 0 || fsconfig(fs, FSCONFIG_SET_STRING, "source", path, 0) < 0 ||
		    (json_get_bool(root, "readonly", false) && fsconfig(fs, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0) ||
		    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
			continue;
		fd = fsmount(fs, FSMOUNT_CLOEXEC, 0);
		return fd < 0 ? err_set(err, errno, "root.path: mount %s", line + 1) : fd;
	}
	return err_msg(err, EINVAL, "root.path: the guest's kernel finds no file system on the disk that it can mount%s",
		       json_get_bool(root, "readonly", false) ? " read only" : "");
}

int disks_translate(json_t *config, Cella__Agent__Disk *const *disks, size_t n, struct err *err)
{
	/* In a VM that runs they have just come. */
	if (n > 0 && guest_find_devices(err) < 0)
		return -err->code;
	for (size_t i = 0; i < n; i++)
		if (translate(config, disks[i], err) < 0)
			return -err->code;
	return 0;
}

int disks_mount(struct disk_mounts *mounts, const json_t *config, Cella__Agent__Disk *const *disks, size_t n, struct err *err)
{
	*mounts = (struct disk_mounts){ .root = -1, .list = calloc(n + 1, sizeof(*mounts->list)) };
	if (!mounts->list)
		return err_set(err, ENOMEM, "disks");
	for (size_t i = 0; i < n; i++) {
		const json_t *entry = json_array_get(json_object_get(config, "mounts"), disks[i]->index);
		struct disk_mount *mount = &mounts->list[mounts->n];

		if (disks[i]->place == CELLA__AGENT__DISK__PLACE__ROOT && mounts->root < 0) {
			mounts->root = mount_root(json_object_get(config, "root"), err);
			if (mounts->root < 0)
				return -err->code;
		} else if (disks[i]->place == CELLA__AGENT__DISK__PLACE__MOUNT) {
			*mount = (struct disk_mount){ disks[i]->index, mount_create(entry, err) };
			if (mount->fd < 0)
				return err_wrap(err, "mounts[%u]", disks[i]->index);
			mounts->n++;
		}
	}
	return 0;
}

int disks_release(const char *id, struct err *err)
{
	char name[NAME_MAX + 1], path[NAME_MAX + 8];
	unsigned int major, minor;
	auto_fd fd = -1;

	if (find_disk(id, name, &major, &minor, err) < 0)
		return err->code == ENODEV ? 0 : -err->code;
	snprintf(path, sizeof(path), "/dev/%s", name);
	/* Refused while it is mounted (open(2), O_EXCL): what its file system still has to write would be lost. */
	fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC);
	if (fd < 0)
		return err_set(err, errno, "let go of disk %s", id);
	fd_close(&fd);
	return guest_unbind("block", name, err);
}

void disks_unmount(struct disk_mounts *mounts)
{
	if (mounts->root >= 0)
		close(mounts->root);
	while (mounts->n > 0)
		close(mounts->list[--mounts->n].fd);
	free(mounts->list);
	*mounts = (struct disk_mounts){ .root = -1 };
}
