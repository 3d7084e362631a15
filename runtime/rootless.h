/* SPDX-License-Identifier: Apache-2.0 */
/* Whether this is the host's root, or an ordinary user, who may be root of a user namespace as podman makes it. */
#ifndef RUNTIME_ROOTLESS_H
#define RUNTIME_ROOTLESS_H

#include <stdbool.h>

bool rootless(void);

/* The state directory without --root: /run/cella, or below the user's XDG_RUNTIME_DIR. */
const char *runtime_default_root(void);

#endif
