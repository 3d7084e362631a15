/* SPDX-License-Identifier: Apache-2.0 */
/* Capability names (CAP_CHOWN and so on) and numbers. */
#ifndef LIB_CAPABILITY_H
#define LIB_CAPABILITY_H

#include <stddef.h>

extern const char *const capability_names[];
extern const size_t capability_count;

/* The number, or -1 for a name that this build does not know. */
int capability_number(const char *name);

#endif
