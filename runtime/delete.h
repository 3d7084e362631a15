/* SPDX-License-Identifier: Apache-2.0 */
/* Taking a container away. */
#ifndef RUNTIME_DELETE_H
#define RUNTIME_DELETE_H

#include <stdbool.h>

#include "lib/err.h"
#include "runtime/runtime.h"

/*
 * Removes a container that is stopped or was never started; force: in any state (its processes are killed), and one
 * that does not exist is no error.
 */
int delete_container(struct runtime *runtime, const char *id, bool force, struct err *err) must_check;

#endif
