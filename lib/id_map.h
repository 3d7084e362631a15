/* SPDX-License-Identifier: Apache-2.0 */
/* Maps of user namespaces (user_namespaces(7)) from the runtime-spec's uidMappings and gidMappings. */
#ifndef LIB_ID_MAP_H
#define LIB_ID_MAP_H

#include <jansson.h>
#include <sys/types.h>

#include "lib/err.h"

/* Gives the user namespace of process pid its uid_map or gid_map (file). An empty list is an error. */
int id_map_write(pid_t pid, const char *file, const json_t *mappings, struct err *err) must_check;

#endif
