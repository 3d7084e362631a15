/* SPDX-License-Identifier: Apache-2.0 */
/* The host's block devices in the guest, where they have other numbers. */
#ifndef AGENT_DISKS_H
#define AGENT_DISKS_H

#include <jansson.h>
#include <stddef.h>

#include "agent/mount.h"
#include "agent/proto/agent.pb-c.h"
#include "lib/err.h"

/*
 * Puts the guest's numbers in place of the host's, in linux.devices and in the rules of linux.resources.devices, and makes
 * a node in the guest's own /dev for each; the sources of mounts and root.path become the guest's nodes.
 */
int disks_translate(json_t *config, Cella__Agent__Disk *const *disks, size_t n, struct err *err) must_check;

/*
 * Mounts the file systems of those that are the root or the source of a mount, attached to nothing; config is translated.
 * For disks_unmount in any case, once the container's process has them.
 */
int disks_mount(struct disk_mounts *mounts, const json_t *config, Cella__Agent__Disk *const *disks, size_t n,
		struct err *err) must_check;
void disks_unmount(struct disk_mounts *mounts);

#endif
