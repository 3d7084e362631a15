/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Id-mapped mounts (config.md, "idmap"; mount_setattr(2), MOUNT_ATTR_IDMAP): files of the source appear with other owners. It is
 * done on the host, whose kernel knows the file system; the VMM's file server and the guest see the owners as they appear.
 */
#ifndef RUNTIME_ID_MAPPED_H
#define RUNTIME_ID_MAPPED_H

#include <jansson.h>

#include "lib/err.h"

/*
 * Maps the owners of a detached mount as an entry of mounts asks: by its own mappings, else by those of the container's user
 * namespace. Nothing happens to one that does not ask.
 */
int id_mapped_apply(int fd, const json_t *mount, const json_t *config, struct err *err) must_check;

#endif
