/* SPDX-License-Identifier: Apache-2.0 */
/* Device nodes in a container's /dev, and the cgroup's device filter. */
#ifndef AGENT_DEVICES_H
#define AGENT_DEVICES_H

#include <jansson.h>

#include "lib/err.h"

/*
 * Makes the devices that every container has (config-linux.md, "Default Devices"), those of linux.devices, and the
 * symlinks /dev/fd, /dev/stdin and so on, below rootfs. guest_dev: the guest's own /dev, from which nodes are bound
 * where mknod(2) is not possible.
 */
int devices_create(int rootfs, int guest_dev, const json_t *devices, struct err *err) must_check;

/* Attaches a filter for linux.resources.devices (an array) to the cgroup behind cgroup_fd. */
int devices_filter(int cgroup_fd, const json_t *rules, struct err *err) must_check;

#endif
