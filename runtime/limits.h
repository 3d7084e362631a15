/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resource limits that config.json does not set. A process of a runtime that forks has them from its caller: of an engine's
 * unit, of a user's session. The guest's own, which follow from the size of a VM that may grow, would be none of the user's business.
 */
#ifndef RUNTIME_LIMITS_H
#define RUNTIME_LIMITS_H

#include <jansson.h>

#include "lib/err.h"

/* Adds the limits of this process to process.rlimits where that has none. */
int limits_inherit(json_t *process, struct err *err) must_check;

#endif
