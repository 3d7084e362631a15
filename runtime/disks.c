/* SPDX-License-Identifier: Apache-2.0 */
/* Block devices of the host. */
#include "runtime/disks.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/mount_options.h"

#define MAJOR_LOOP 7

/* The rule of linux.resources.devices that speaks of this device and no other, the last one if there are several. */
static const json_t *rule_for(const json_t *config, int64_t major, int64_t minor)
{
	const json_t *resources = json_object_get(json_object_get(config, "linux"), "resources"), *rule, *found = NULL;
	size_t i;

	json_array_foreach(json_object_get(resources, "devices"), i, rule)
		if (*json_get_string(rule, "type", "") == 'b' && json_get_integer(rule, "major", -1) == major &&
		    json_get_integer(rule, "minor", -1) == minor)
			found = rule;
	return found && json_get_bool(found, "allow", false) ? found : NULL;
}

static int open_device(int64_t major, int64_t minor, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/block/%" PRId64 ":%" PRId64, major, minor);
	return open(path, flags | O_CLOEXEC | O_NOCTTY);
}

/* A loop device that nothing is behind on the host is for the container's own use: the guest has loop devices, too. */
static bool is_empty_loop(int64_t major, int64_t minor)
{
	auto_fd fd = major == MAJOR_LOOP ? open_device(major, minor, O_RDONLY) : -1;
	uint64_t bytes = 0;

	return major == MAJOR_LOOP && (fd < 0 || ioctl(fd, BLKGETSIZE64, &bytes) < 0 || bytes == 0);
}

bool disks_is_one(const json_t *config, const json_t *device)
{
	int64_t major = json_get_integer(device, "major", -1), minor = json_get_integer(device, "minor", -1);

	return *json_get_string(device, "type", "") == 'b' && rule_for(config, major, minor) && !is_empty_loop(major, minor);
}

static int open_disk(struct disk *disk, const json_t *config, const json_t *device, struct err *err)
{
	int64_t major = json_get_integer(device, "major", -1), minor = json_get_integer(device, "minor", -1);
	const char *access = json_get_string(rule_for(config, major, minor), "access", "rwm");
	struct stat st;

	disk->read_only = !strchr(access, 'w');
	disk->fd = open_device(major, minor, disk->read_only ? O_RDONLY : O_RDWR);
	if (disk->fd < 0)
		return err_set(err, errno, "linux.devices[%zu]: open /dev/block/%" PRId64 ":%" PRId64, disk->index, major, minor);
	if (fstat(disk->fd, &st) < 0 || !S_ISBLK(st.st_mode) || st.st_rdev != makedev((unsigned int)major, (unsigned int)minor))
		return err_msg(err, ENODEV, "linux.devices[%zu]: /dev/block/%" PRId64 ":%" PRId64 " is another device", disk->index,
			       major, minor);
	return 0;
}

static struct disk *add(struct disk_list *list, Cella__Agent__Disk__Place place, size_t index, struct err *err)
{
	struct disk *disk = &list->disks[list->n];

	if (list->n == DISKS_MAX) {
		err_msg(err, E2BIG, "config.json has more than %d block devices", DISKS_MAX);
		return NULL;
	}
	*disk = (struct disk){ .place = place, .index = index, .fd = -1 };
	snprintf(disk->id, sizeof(disk->id), "%s%zu", list->prefix, list->n++);
	return disk;
}

static bool is_block_device(const char *path)
{
	struct stat st;

	return *path == '/' && stat(path, &st) == 0 && S_ISBLK(st.st_mode);
}

static int open_path(struct disk *disk, const char *path, bool read_only, struct err *err)
{
	struct stat st;

	disk->read_only = read_only;
	disk->fd = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (disk->fd < 0)
		return err_set(err, errno, "open %s", path);
	if (fstat(disk->fd, &st) < 0 || !S_ISBLK(st.st_mode))
		return err_msg(err, ENOTBLK, "%s is no block device any more", path);
	return 0;
}

/* A file system of the host's kernel would be mounted here; the guest's reads the device itself. */
static bool is_disk_mount(const json_t *mount)
{
	/* Their source is a name, whatever it looks like. */
	static const char *const without_device[] = { "tmpfs", "proc", "sysfs", "devpts", "mqueue", "cgroup", "cgroup2", "overlay" };
	const char *type = json_get_string(mount, "type", "");

	for (size_t i = 0; i < ARRAY_SIZE(without_device); i++)
		if (!strcmp(type, without_device[i]))
			return false;
	return !mount_options_read(mount).bind && is_block_device(json_get_string(mount, "source", ""));
}

bool disks_is_root(const json_t *config)
{
	return is_block_device(json_get_string(json_object_get(config, "root"), "path", ""));
}

static int open_root(struct disk_list *list, const json_t *config, struct err *err)
{
	const json_t *root = json_object_get(config, "root");
	struct disk *disk;

	if (!disks_is_root(config))
		return 0;
	disk = add(list, CELLA__AGENT__DISK__PLACE__ROOT, 0, err);
	if (!disk || open_path(disk, json_get_string(root, "path", ""), json_get_bool(root, "readonly", false), err) < 0)
		return err_wrap(err, "root.path");
	return 0;
}

static int open_mounts(struct disk_list *list, const json_t *config, struct err *err)
{
	const json_t *mount;
	size_t i;

	json_array_foreach(json_object_get(config, "mounts"), i, mount) {
		struct disk *disk;

		if (!is_disk_mount(mount))
			continue;
		disk = add(list, CELLA__AGENT__DISK__PLACE__MOUNT, i, err);
		if (!disk || open_path(disk, json_get_string(mount, "source", ""), mount_options_read(mount).read_only, err) < 0)
			return err_wrap(err, "mounts[%zu].source", i);
	}
	return 0;
}

int disks_open(struct disk_list *list, const char *prefix, const json_t *config, struct err *err)
{
	const json_t *device;
	size_t i;

	*list = (struct disk_list){ .prefix = prefix };
	if (open_root(list, config, err) < 0 || open_mounts(list, config, err) < 0)
		return -err->code;
	json_array_foreach(json_object_get(json_object_get(config, "linux"), "devices"), i, device) {
		struct disk *disk;

		if (!disks_is_one(config, device))
			continue;
		disk = add(list, CELLA__AGENT__DISK__PLACE__DEVICE, i, err);
		if (!disk || open_disk(disk, config, device, err) < 0)
			return -err->code;
	}
	return 0;
}

const char *disks_field(const struct disk *disk)
{
	switch (disk->place) {
	case CELLA__AGENT__DISK__PLACE__ROOT:
		return "root.path";
	case CELLA__AGENT__DISK__PLACE__MOUNT:
		return "mounts";
	default:
		return "linux.devices";
	}
}

void disks_close(struct disk_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->disks[i].fd >= 0)
			close(list->disks[i].fd);
	list->n = 0;
}
