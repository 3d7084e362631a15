/* SPDX-License-Identifier: Apache-2.0 */
/* Whether this is the host's root. */
#include "runtime/rootless.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"

/* user_namespaces(7): the initial one maps all ids to themselves. */
static bool in_user_namespace(void)
{
	struct err ignored;
	auto_free char *map = io_read_file(AT_FDCWD, "/proc/self/uid_map", 65536, NULL, &ignored);
	unsigned long inside, outside, count;

	return map && (sscanf(map, "%lu %lu %lu", &inside, &outside, &count) != 3 || inside || outside || count != 4294967295);
}

bool rootless(void)
{
	static int known = -1;

	if (known < 0)
		known = geteuid() != 0 || in_user_namespace();
	return known;
}

const char *runtime_default_root(void)
{
	const char *runtime_dir = getenv("XDG_RUNTIME_DIR");
	static char path[256];

	/* Engines may set it to an empty string. */
	if (!rootless() || !runtime_dir || !*runtime_dir)
		return "/run/cella";
	snprintf(path, sizeof(path), "%s/cella", runtime_dir);
	return path;
}
