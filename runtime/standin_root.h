/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What engines find in the stand-in's mount namespace: `podman cp` and `podman top` enter it and expect the container's
 * files there. So its root is the container's, with the bind mounts and a /proc that shows the guest's processes
 * (standin_proc.h). A tmpfs is in the guest only: in its place is an empty file system that cannot be written to.
 */
#ifndef RUNTIME_STANDIN_ROOT_H
#define RUNTIME_STANDIN_ROOT_H

#include <jansson.h>

#include "lib/err.h"
#include "runtime/standin_proc.h"

/*
 * Call it in a mount namespace of its own, when the guest has made the mount points; nothing of the host's file system is
 * in reach afterwards. A bind mount that cannot be made is left out, with a warning: the container has it all the same.
 * proc is for standin_proc_start, unless its descriptor is -1.
 */
int standin_root_enter(const char *bundle, const json_t *config, struct standin_proc *proc, struct err *err) must_check;

#endif
