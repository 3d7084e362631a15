/* SPDX-License-Identifier: Apache-2.0 */
/* The host's block devices in the guest. */
#include "agent/disks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/json.h"

#define BLOCK "/sys/block"

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
static int find_disk(const char *id, unsigned int *major, unsigned int *minor, struct err *err)
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
		if (numbers && sscanf(numbers, "%u:%u", major, minor) == 2)
			ret = 0;
	}
	closedir(directory);
	return ret < 0 ? err_msg(err, ENODEV, "there is no disk %s", id) : 0;
}

static void set_numbers(json_t *entry, unsigned int major, unsigned int minor)
{
	json_object_set_new(entry, "major", json_integer(major));
	json_object_set_new(entry, "minor", json_integer(minor));
}

/* Where mknod(2) is not possible in the container, the guest's node of that name is bound (devices.c). */
static int make_guest_node(const char *path, unsigned int major, unsigned int minor, struct err *err)
{
	const char *slash = strrchr(path, '/');
	char own[PATH_MAX];

	if (!slash || snprintf(own, sizeof(own), "/dev%s", slash) >= (int)sizeof(own))
		return err_set(err, EINVAL, "%s", path);
	if (mknod(own, S_IFBLK | 0600, makedev(major, minor)) < 0 && errno != EEXIST)
		return err_set(err, errno, "make %s", own);
	return 0;
}

static int translate(json_t *config, const Cella__Agent__Disk *disk, struct err *err)
{
	json_t *linux_section = json_object_get(config, "linux"), *rule;
	json_t *device = json_array_get(json_object_get(linux_section, "devices"), disk->index);
	int64_t host_major = json_get_integer(device, "major", -1), host_minor = json_get_integer(device, "minor", -1);
	unsigned int major, minor;
	size_t i;

	if (!device)
		return err_msg(err, EINVAL, "linux.devices[%u]: there is no such entry", disk->index);
	if (find_disk(disk->id, &major, &minor, err) < 0)
		return err_wrap(err, "linux.devices[%u]", disk->index);
	set_numbers(device, major, minor);
	json_array_foreach(json_object_get(json_object_get(linux_section, "resources"), "devices"), i, rule)
		if (*json_get_string(rule, "type", "") == 'b' && json_get_integer(rule, "major", -1) == host_major &&
		    json_get_integer(rule, "minor", -1) == host_minor)
			set_numbers(rule, major, minor);
	return make_guest_node(json_get_string(device, "path", ""), major, minor, err);
}

int disks_translate(json_t *config, Cella__Agent__Disk *const *disks, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++)
		if (translate(config, disks[i], err) < 0)
			return -err->code;
	return 0;
}
