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
	snprintf(disk->id, sizeof(disk->id), "cella%zu", disk->index);
	return 0;
}

int disks_open(struct disk_list *list, const json_t *config, struct err *err)
{
	const json_t *device;
	size_t i;

	list->n = 0;
	json_array_foreach(json_object_get(json_object_get(config, "linux"), "devices"), i, device) {
		if (!disks_is_one(config, device))
			continue;
		if (list->n == DISKS_MAX)
			return err_msg(err, E2BIG, "linux.devices: more than %d block devices", DISKS_MAX);
		list->disks[list->n] = (struct disk){ .index = i, .fd = -1 };
		if (open_disk(&list->disks[list->n++], config, device, err) < 0)
			return -err->code;
	}
	return 0;
}

void disks_close(struct disk_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->disks[i].fd >= 0)
			close(list->disks[i].fd);
	list->n = 0;
}
