/* SPDX-License-Identifier: Apache-2.0 */
/* The five capability sets of process.capabilities. */
#ifndef AGENT_CAPS_H
#define AGENT_CAPS_H

#include <jansson.h>

#include "lib/err.h"

/* Drops what is not in `bounding`. While the process is still privileged. capabilities NULL: drops everything. */
int caps_limit_bounding(const json_t *capabilities, struct err *err) must_check;

/* Makes all that is permitted effective, which a change of user undoes. */
int caps_raise(struct err *err) must_check;

/* Sets effective, permitted, inheritable and ambient; after the switch to the process's user. */
int caps_apply(const json_t *capabilities, struct err *err) must_check;

#endif
