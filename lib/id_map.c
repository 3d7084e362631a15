/* SPDX-License-Identifier: Apache-2.0 */
/* Maps of user namespaces. */
#include "lib/id_map.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "lib/io.h"
#include "lib/json.h"

int id_map_write(pid_t pid, const char *file, const json_t *mappings, struct err *err)
{
	char path[64], text[4096];
	size_t used = 0, i;
	const json_t *entry;

	json_array_foreach(mappings, i, entry) {
		int n = snprintf(text + used, sizeof(text) - used, "%" PRId64 " %" PRId64 " %" PRId64 "\n",
				 json_get_integer(entry, "containerID", 0), json_get_integer(entry, "hostID", 0),
				 json_get_integer(entry, "size", 0));

		used += (size_t)n;
		if (used >= sizeof(text))
			return err_msg(err, E2BIG, "%s: too many mappings", file);
	}
	if (used == 0)
		return err_msg(err, EINVAL, "%s: a user namespace needs mappings", file);
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	return io_write_file(AT_FDCWD, path, text, err);
}
