/* SPDX-License-Identifier: Apache-2.0 */
/* A container's root file system, from a shared directory to the process's "/". */
#ifndef AGENT_ROOTFS_H
#define AGENT_ROOTFS_H

#include <jansson.h>

#include "agent/mount.h"
#include "lib/err.h"

struct rootfs_plan {
	const char *id;		  /* the container's; borrowed, as all here */
	const json_t *config;	  /* config.json */
	const char *share;	  /* the root's entry in the shared directory */
	const struct shared_mount *shared;
	size_t nshared;
	const struct disk_mounts *disks;
};

/*
 * In the container's first process, in its new mount namespace: mounts, devices, /dev/console, then pivot_root, masked
 * and read-only paths. open_terminal (NULL: the process has none) is called when /dev/pts is there; it returns the slave
 * side's descriptor, which is bound to /dev/console and stays the caller's. Afterwards "/" is the container's.
 */
int rootfs_enter(const struct rootfs_plan *plan, int (*open_terminal)(void *ctx, int rootfs, struct err *err), void *ctx,
		 struct err *err) must_check;

#endif
