/* SPDX-License-Identifier: Apache-2.0 */
/* process.env (runtime-spec, config.md, Process). */
#ifndef AGENT_ENVIRONMENT_H
#define AGENT_ENVIRONMENT_H

#include <jansson.h>

/* The value of a variable, or fallback. Borrowed from process. */
const char *environment_find(const json_t *process, const char *name, const char *fallback);

/*
 * What execve(2) takes: of a variable that is there twice the last value, as with runc and crun, and HOME, if it is missing, from
 * the container's passwd file for process.user. The list is new, the strings are not to be freed. NULL: there is too
 * little memory.
 */
char **environment_make(const json_t *process);

#endif
