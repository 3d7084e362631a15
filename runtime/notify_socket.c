/* SPDX-License-Identifier: Apache-2.0 */
/* The socket for sd_notify(3). */
#include "runtime/notify_socket.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "lib/json.h"

#define VARIABLE "NOTIFY_SOCKET="

/* NULL: the container has none, or one that is no path. */
static const char *path_in_container(const json_t *config)
{
	const json_t *environment = json_object_get(json_object_get(config, "process"), "env"), *entry;
	const char *path = NULL;
	size_t i;

	json_array_foreach(environment, i, entry)
		if (!strncmp(json_string_value(entry), VARIABLE, strlen(VARIABLE)))
			path = json_string_value(entry) + strlen(VARIABLE);
	return path && *path == '/' ? path : NULL;
}

/* How much of path is the destination of a mount that path is at or below; 0: it is not. */
static size_t covers(const char *destination, const char *path)
{
	size_t len = strlen(destination);

	while (len > 0 && destination[len - 1] == '/')
		len--;
	return !strncmp(path, destination, len) && (path[len] == '/' || !path[len]) ? len : 0;
}

/* The mount in which path is, or -1; *ret_below: where there, empty if it is a mount of its own already. */
static int mount_above(const json_t *config, const char *path, const char **ret_below)
{
	const json_t *mounts = json_object_get(config, "mounts"), *mount;
	size_t i, longest = 0;
	int found = -1;

	json_array_foreach(mounts, i, mount) {
		size_t len = covers(json_get_string(mount, "destination", ""), path);

		if (len == 0 || len < longest)
			continue;
		longest = len;
		found = (int)i;
	}
	*ret_below = path + longest;
	return found;
}

static bool is_directory_of_the_host(const struct share_list *list, int index)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->shares[i].mount_index == index)
			return !list->shares[i].is_file;
	return false;
}

int notify_socket_share(const char *bundle, json_t *config, struct share_list *list, struct err *err)
{
	const char *path = path_in_container(config), *below = NULL;
	json_t *mounts = json_object_get(config, "mounts");
	int above = path ? mount_above(config, path, &below) : -1;
	int fd = above >= 0 && is_directory_of_the_host(list, above) ? share_open_socket(bundle, config, above, below) : -1;

	if (fd < 0)
		return 0;
	if (share_add(list, fd, (int)json_array_size(mounts), err) < 0)
		return -err->code;
	/* No type that a source is opened for: the share is there already. */
	if (json_array_append_new(mounts, json_pack("{s:s, s:s}", "destination", path, "type", "notify")) < 0)
		return err_set(err, ENOMEM, "NOTIFY_SOCKET");
	return 1;
}
