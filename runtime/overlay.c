/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Overlays of directories of the host.
 *
 * fsconfig(2) takes values of up to 255 bytes, and the names of two of podman's directories are longer. Where that is so the
 * directories are opened, and are called /proc/self/fd/N.
 */
#include "runtime/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/mount_options.h"

#define VALUE_MAX 256 /* of fsconfig(2), its end included */
#define DIRECTORIES_MAX 32

/* Directories that are open until the overlay is made. */
struct directories {
	int fds[DIRECTORIES_MAX]; /* owned */
	size_t n;
};

static void close_directories(struct directories *directories)
{
	while (directories->n > 0)
		close(directories->fds[--directories->n]);
}

/*
 * The next of a list that colons separate; one with a backslash before it is part of a name (overlayfs.rst). Returns where it ends,
 * or NULL: it is too long.
 */
static const char *next_name(const char *list, char name[PATH_MAX])
{
	size_t n = 0;

	for (; *list && *list != ':'; list++) {
		if (*list == '\\' && list[1])
			list++;
		if (n == PATH_MAX - 1)
			return NULL;
		name[n++] = *list;
	}
	name[n] = '\0';
	return list;
}

static int open_directory(struct directories *directories, const char *name, struct err *err)
{
	int fd;

	if (directories->n == DIRECTORIES_MAX)
		return err_msg(err, E2BIG, "more than %d directories with long names", DIRECTORIES_MAX);
	fd = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set(err, errno, "%s", name);
	directories->fds[directories->n++] = fd;
	return fd;
}

/* The same list by the numbers of descriptors. */
static int shorten(const char *list, char out[VALUE_MAX], struct directories *directories, struct err *err)
{
	size_t len = 0;

	do {
		char name[PATH_MAX];
		int fd;

		list = next_name(list, name);
		if (!list)
			return err_msg(err, ENAMETOOLONG, "a directory's name of more than %d bytes", PATH_MAX - 1);
		fd = open_directory(directories, name, err);
		if (fd < 0)
			return fd;
		len += (size_t)snprintf(out + len, VALUE_MAX - len, "%s/proc/self/fd/%d", len ? ":" : "", fd);
		if (len >= VALUE_MAX)
			return err_msg(err, E2BIG, "more than %zu directories with long names", directories->n - 1);
	} while (*list++);
	return 0;
}

static bool names_directories(const char *key)
{
	return !strcmp(key, "lowerdir") || !strcmp(key, "upperdir") || !strcmp(key, "workdir");
}

static int set_option(int fs, const char *option, const char *equals, struct directories *directories, struct err *err)
{
	const char *value = equals + 1;
	char key[32], short_value[VALUE_MAX];

	snprintf(key, sizeof(key), "%.*s", (int)(equals - option), option);
	if (strlen(value) >= VALUE_MAX && names_directories(key)) {
		if (shorten(value, short_value, directories, err) < 0)
			return err_wrap(err, "%s", key);
		value = short_value;
	}
	return fsconfig(fs, FSCONFIG_SET_STRING, key, value, 0) < 0 ? err_set(err, errno, "%s", option) : 0;
}

static int set_options(int fs, const json_t *options, struct directories *directories, struct err *err)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(options, i, entry) {
		const char *option = json_string_value(entry), *equals = option ? strchr(option, '=') : NULL;

		if (!equals || mount_option_find(option))
			continue;
		if (set_option(fs, option, equals, directories, err) < 0)
			return -err->code;
	}
	return 0;
}

int overlay_open(const json_t *mount, int index, struct err *err)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NODEV | (mount_options_read(mount).read_only ? MOUNT_ATTR_RDONLY : 0) };
	auto_fd fs = fsopen("overlay", FSOPEN_CLOEXEC), fd = -1;
	struct directories directories = { .n = 0 };
	int ret = fs < 0 ? 0 : set_options(fs, json_object_get(mount, "options"), &directories, err);

	if (ret == 0 && fs >= 0 && fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		fd = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	if (ret < 0)
		ret = err_wrap(err, "mounts[%d]: overlay option", index);
	else if (fd < 0 || mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		ret = err_set(err, errno, "mounts[%d]: overlay on %s", index, json_get_string(mount, "destination", ""));
	close_directories(&directories);
	return ret < 0 ? ret : fd_take(&fd);
}
