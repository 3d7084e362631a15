/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hooks (runtime-spec config.md, "POSIX-platform Hooks"): programs on the host that are told of a container's state on
 * their standard input. Those that belong into the container's mount namespace (createContainer, startContainer) have no
 * place where a container is a VM: config.json with them is refused (spec.c).
 */
#ifndef RUNTIME_HOOKS_H
#define RUNTIME_HOOKS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"

/* The kinds that are run, for `cella features`. */
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
