/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hooks (runtime-spec config.md, "POSIX-platform Hooks"): programs that are told of a container's state on their standard
 * input. startContainer's are run by the agent, in the container, all others on the host: createContainer's by the
 * stand-in, which is in the container's namespaces there.
 */
#ifndef LIB_HOOKS_H
#define LIB_HOOKS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"

/* All kinds, for `cella features`. */
extern const char *const hooks_kinds[];
extern const size_t hooks_kind_count;

/* Whether config.json has hooks of this kind. */
bool hooks_exist(const json_t *config, const char *kind);

/*
 * Runs config.json's hooks of one kind, one after the other, each in the bundle and with its own environment and
 * timeout. state: the document of `cella state`. The first that fails ends it; err has what it wrote to stderr.
 */
int hooks_run(const json_t *config, const char *kind, const json_t *state, const char *bundle, struct err *err) must_check;

#endif
