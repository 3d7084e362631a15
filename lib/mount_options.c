/* SPDX-License-Identifier: Apache-2.0 */
/* The mount options of the runtime-spec. */
#include "lib/mount_options.h"

#include <string.h>
#include <sys/mount.h>

#include "lib/cleanup.h"
#include "lib/json.h"

#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

#define SET(name_, attr) { .name = name_, .attr_set = (attr) }
#define CLEAR(name_, attr) { .name = name_, .attr_clear = (attr) }
#define ATIME(name_, attr) { .name = name_, .attr_set = (attr), .attr_clear = MOUNT_ATTR__ATIME }
#define RSET(name_, attr) { .name = name_, .attr_set = (attr), .recursive = true }
#define RCLEAR(name_, attr) { .name = name_, .attr_clear = (attr), .recursive = true }
#define RATIME(name_, attr) { .name = name_, .attr_set = (attr), .attr_clear = MOUNT_ATTR__ATIME, .recursive = true }
#define SUPER(name_, flag) { .name = name_, .superblock = (flag) }

const struct mount_option mount_options[] = {
	{ .name = "defaults" },
	CLEAR("rw", MOUNT_ATTR_RDONLY),
	/* On a fresh file system "ro" must be the superblock's, too; mount.c adds that. */
	SET("ro", MOUNT_ATTR_RDONLY),
	SET("nosuid", MOUNT_ATTR_NOSUID),
	CLEAR("suid", MOUNT_ATTR_NOSUID),
	SET("nodev", MOUNT_ATTR_NODEV),
	CLEAR("dev", MOUNT_ATTR_NODEV),
	SET("noexec", MOUNT_ATTR_NOEXEC),
	CLEAR("exec", MOUNT_ATTR_NOEXEC),
	SET("nodiratime", MOUNT_ATTR_NODIRATIME),
	CLEAR("diratime", MOUNT_ATTR_NODIRATIME),
	SET("nosymfollow", MOUNT_ATTR_NOSYMFOLLOW),
	CLEAR("symfollow", MOUNT_ATTR_NOSYMFOLLOW),
	ATIME("noatime", MOUNT_ATTR_NOATIME),
	ATIME("atime", MOUNT_ATTR_RELATIME),
	ATIME("relatime", MOUNT_ATTR_RELATIME),
	ATIME("norelatime", MOUNT_ATTR_STRICTATIME),
	ATIME("strictatime", MOUNT_ATTR_STRICTATIME),
	ATIME("nostrictatime", MOUNT_ATTR_RELATIME),
	RSET("rro", MOUNT_ATTR_RDONLY),
	RCLEAR("rrw", MOUNT_ATTR_RDONLY),
	RSET("rnosuid", MOUNT_ATTR_NOSUID),
	RCLEAR("rsuid", MOUNT_ATTR_NOSUID),
	RSET("rnodev", MOUNT_ATTR_NODEV),
	RCLEAR("rdev", MOUNT_ATTR_NODEV),
	RSET("rnoexec", MOUNT_ATTR_NOEXEC),
	RCLEAR("rexec", MOUNT_ATTR_NOEXEC),
	RSET("rnodiratime", MOUNT_ATTR_NODIRATIME),
	RCLEAR("rdiratime", MOUNT_ATTR_NODIRATIME),
	RSET("rnosymfollow", MOUNT_ATTR_NOSYMFOLLOW),
	RCLEAR("rsymfollow", MOUNT_ATTR_NOSYMFOLLOW),
	RATIME("rnoatime", MOUNT_ATTR_NOATIME),
	RATIME("ratime", MOUNT_ATTR_RELATIME),
	RATIME("rrelatime", MOUNT_ATTR_RELATIME),
	RATIME("rnorelatime", MOUNT_ATTR_STRICTATIME),
	RATIME("rstrictatime", MOUNT_ATTR_STRICTATIME),
	RATIME("rnostrictatime", MOUNT_ATTR_RELATIME),
	{ .name = "bind", .bind = true },
	{ .name = "rbind", .bind = true, .bind_recursive = true },
	{ .name = "remount", .remount = true },
	{ .name = "private", .propagation = MS_PRIVATE },
	{ .name = "rprivate", .propagation = MS_PRIVATE, .propagation_recursive = true },
	{ .name = "shared", .propagation = MS_SHARED },
	{ .name = "rshared", .propagation = MS_SHARED, .propagation_recursive = true },
	{ .name = "slave", .propagation = MS_SLAVE },
	{ .name = "rslave", .propagation = MS_SLAVE, .propagation_recursive = true },
	{ .name = "unbindable", .propagation = MS_UNBINDABLE },
	{ .name = "runbindable", .propagation = MS_UNBINDABLE, .propagation_recursive = true },
	{ .name = "tmpcopyup", .copy_up = true },
	/* The host's to do (runtime/id_mapped.h). */
	{ .name = "idmap" },
	{ .name = "ridmap" },
	SUPER("sync", "sync"),
	SUPER("async", "async"),
	SUPER("dirsync", "dirsync"),
	SUPER("lazytime", "lazytime"),
	SUPER("nolazytime", "nolazytime"),
	SUPER("mand", "mand"),
	SUPER("nomand", "nomand"),
	/* Without a meaning for the mount API; accepted because the spec lists them. */
	SUPER("iversion", ""),
	SUPER("noiversion", ""),
	SUPER("silent", ""),
	SUPER("loud", ""),
};

const size_t mount_option_count = ARRAY_SIZE(mount_options);

const struct mount_option *mount_option_find(const char *name)
{
	for (size_t i = 0; i < mount_option_count; i++)
		if (!strcmp(mount_options[i].name, name))
			return &mount_options[i];
	return NULL;
}

struct mount_request mount_options_read(const json_t *mount)
{
	const json_t *options = json_object_get(mount, "options"), *entry;
	struct mount_request request = { .bind = !strcmp(json_get_string(mount, "type", ""), "bind") };
	size_t i;

	json_array_foreach(options, i, entry) {
		const struct mount_option *option = mount_option_find(json_string_value(entry));

		if (!option)
			continue;
		request.bind |= option->bind;
		request.recursive |= option->bind_recursive;
		if (option->attr_set & MOUNT_ATTR_RDONLY)
			request.read_only = true, request.read_only_recursive |= option->recursive;
		if (option->attr_clear & MOUNT_ATTR_RDONLY)
			request.read_only = request.read_only_recursive = false;
	}
	return request;
}
