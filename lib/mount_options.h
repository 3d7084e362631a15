/* SPDX-License-Identifier: Apache-2.0 */
/* The mount options of the runtime-spec (config.md, "Linux mount options") as attributes and propagation. */
#ifndef LIB_MOUNT_OPTIONS_H
#define LIB_MOUNT_OPTIONS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

struct mount_option {
	const char *name;
	uint64_t attr_set, attr_clear; /* MOUNT_ATTR_* of mount_setattr(2) */
	bool recursive;		       /* the attributes hold for mounts below, too */
	uint64_t propagation;	       /* MS_SHARED and so on, 0: none */
	bool propagation_recursive;
	const char *superblock; /* flag of fsconfig(2): "sync", ...; empty: nothing to do */
	bool bind, bind_recursive, copy_up, remount;
};

extern const struct mount_option mount_options[];
extern const size_t mount_option_count;

/* NULL: not a spec option, so it is the file system's own ("size=64k"). */
const struct mount_option *mount_option_find(const char *name);

/* What an entry of config.json's mounts asks of the host. The later of two contradicting options wins. */
struct mount_request {
	bool bind, recursive, read_only, read_only_recursive;
};

struct mount_request mount_options_read(const json_t *mount);

#endif
