/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block devices of the host that a container was given by name, as a device (`--device /dev/sdb`), as the source of a mount
 * or as its root: each becomes a virtio-blk device of the VM, whose kernel reads the file system. A privileged container
 * lists all devices of the host without being given any: those stay out.
 */
#ifndef RUNTIME_DISKS_H
#define RUNTIME_DISKS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "agent/proto/agent.pb-c.h"
#include "lib/err.h"

#define DISKS_MAX 8 /* CONFIG_DISKS_MAX of the VMM */
#define DISK_ID_MAX 21 /* with the NUL: virtio 1.2, 5.2.6 */

struct disk {
	Cella__Agent__Disk__Place place;
	size_t index; /* in linux.devices or mounts */
	char id[DISK_ID_MAX]; /* the guest finds it by this */
	int fd;	      /* owned */
	bool read_only;
};

struct disk_list {
	const char *prefix; /* borrowed */
	struct disk disks[DISKS_MAX];
	size_t n;
};

/* Whether config.json gives this entry of linux.devices to the container as a disk. */
bool disks_is_one(const json_t *config, const json_t *device);

/* Whether root.path is a block device rather than a directory. */
bool disks_is_root(const json_t *config);

/* Their ids begin with prefix, which no other container of the VM has. */
int disks_open(struct disk_list *list, const char *prefix, const json_t *config, struct err *err) must_check;
/* Where config.json has it, for messages. */
const char *disks_field(const struct disk *disk);

void disks_close(struct disk_list *list);

#endif
