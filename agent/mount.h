/* SPDX-License-Identifier: Apache-2.0 */
/* The mounts of config.json, by the mount API (fsopen(2), open_tree(2), move_mount(2)): targets are descriptors. */
#ifndef AGENT_MOUNT_H
#define AGENT_MOUNT_H

#include <jansson.h>
#include <stdbool.h>

#include "lib/err.h"

/* What the host shared for a bind mount. */
struct shared_mount {
	unsigned int index; /* in config.json's mounts */
	const char *share;  /* borrowed */
	bool is_file;
};

/* File systems on disks, not attached yet. */
struct disk_mounts {
	int root; /* the container's root, owned; -1: it is a shared directory */
	struct disk_mount {
		unsigned int index; /* in config.json's mounts */
		int fd;		    /* owned */
	} *list;			    /* owned */
	size_t n;
};

struct mount_context {
	int rootfs; /* O_PATH directory; targets are resolved in it */
	int share;  /* O_PATH directory of the shares */
	const struct shared_mount *shared; /* borrowed */
	size_t nshared;
	const struct disk_mounts *disks;
};

/* The file system of one entry, which is no bind mount: a detached mount. */
int mount_create(const json_t *entry, struct err *err) must_check;

/* Mounts one entry of config.json's mounts. */
int mount_entry(const struct mount_context *context, const json_t *entry, unsigned int index, struct err *err) must_check;

/*
 * Once all mounts, devices and the console are in place: a read-only tmpfs (podman's /dev of a read-only container) becomes
 * it now; until then it has to take mount points.
 */
int mount_finish(const struct mount_context *context, const json_t *entry, unsigned int index, struct err *err) must_check;

/* Makes path (in rootfs) unreadable: /dev/null over a file, an empty read-only tmpfs over a directory. */
int mount_mask(int rootfs, int guest_dev, const char *path, struct err *err) must_check;

/* Makes path (in rootfs) read only, with what is mounted below it as it is. */
int mount_read_only(int rootfs, const char *path, struct err *err) must_check;

#endif
