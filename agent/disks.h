/* SPDX-License-Identifier: Apache-2.0 */
/* The host's block devices in the guest, where they have other numbers. */
#ifndef AGENT_DISKS_H
#define AGENT_DISKS_H

#include <jansson.h>
#include <stddef.h>

#include "agent/mount.h"
#include "agent/proto/agent.pb-c.h"
#include "lib/err.h"

#define DISK_ID_MAX 21 /* with the NUL: virtio 1.2, 5.2.6 */

/*
 * Puts the guest's numbers in place of the host's, in linux.devices and in the rules of linux.resources.devices; the sources
 * of mounts and root.path become the guest's nodes.
 */
int disks_translate(json_t *config, Cella__Agent__Disk *const *disks, size_t n, struct err *err) must_check;

/* Has the driver let go of a disk. EBUSY: it is mounted. That there is none is no error. */
int disks_release(const char *id, struct err *err) must_check;

/*
 * Mounts the file systems of those that are the root or the source of a mount, attached to nothing; config is translated.
 * For disks_unmount in any case, once the container's process has them.
 */
int disks_mount(struct disk_mounts *mounts, const json_t *config, Cella__Agent__Disk *const *disks, size_t n,
		struct err *err) must_check;
void disks_unmount(struct disk_mounts *mounts);

#endif
