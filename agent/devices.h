/* SPDX-License-Identifier: Apache-2.0 */
/* Device nodes in a container's /dev, and elsewhere. */
#ifndef AGENT_DEVICES_H
#define AGENT_DEVICES_H

#include <jansson.h>

#include "lib/err.h"

/*
 * Makes linux.devices in the guest's own /dev, aside, before container id's first process is: where that cannot make nodes,
 * it binds these. devices_unstage forgets them; nodes that are bound stay.
 */
int devices_stage(const char *id, const json_t *config, struct err *err) must_check;
void devices_unstage(const char *id);

/*
 * Makes the devices that every container has (config-linux.md, "Default Devices"), those of linux.devices, and the
 * symlinks /dev/fd, /dev/stdin and so on, below rootfs. guest_dev: the guest's own /dev, from which nodes are bound
 * where mknod(2) is not possible.
 */
int devices_create(int rootfs, int guest_dev, const char *id, const json_t *devices, struct err *err) must_check;

#endif
