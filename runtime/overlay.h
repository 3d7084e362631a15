/* SPDX-License-Identifier: Apache-2.0 */
/* Overlays of directories of the host that are mounts of a container (podman's image mounts and volumes with O). */
#ifndef RUNTIME_OVERLAY_H
#define RUNTIME_OVERLAY_H

#include <jansson.h>

#include "lib/err.h"

/*
 * The overlay that the mount of this index describes, as a detached mount that is the caller's, in no namespace; or -errno. Its
 * options are the file system's own but for those that mount(8) has for all.
 */
int overlay_open(const json_t *mount, int index, struct err *err) must_check;

#endif
