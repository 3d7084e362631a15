/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket: one JSON object per line in, one out. {"command": C} with C one of
 *   status                 -> state, vcpus, memory and balloon figures
 *   pause, resume          -> stops and continues the vCPUs
 *   stop                   -> ends the VM; the VMM exits with 0
 *   memory, "mib": N       -> how much memory the VM shall have in all; the guest's driver must look for new devices
 *   balloon, "mib": N      -> sets the balloon's target
 *   add-net, "mac": M      -> with one descriptor (SCM_RIGHTS), a tap: a network device; the driver must look for it
 *   remove-net, "mac": M   -> the driver should have been unbound from it
 *   add-disk, "id": I      -> with one descriptor, a block device or a file, read only if it was opened so; as add-net
 *   remove-devices, "prefix": P -> all that came so and whose id begins with this
 *   add-share, "name": S   -> with one descriptor (SCM_RIGHTS): a new entry in the file server's root
 *   remove-share, "name": S
 *   open-socket, "id": N   -> a socket in a shared directory by the id that the guest knows it by: an O_PATH descriptor comes with
 *                             the answer
 * Answers: {"ok": true, ...} or {"ok": false, "error": "..."}.
 */
#ifndef VMM_CONTROL_H
#define VMM_CONTROL_H

#include "lib/err.h"
#include "lib/loop.h"

struct vm;
struct control;

/* listen_fd: borrowed. Clients are served on the loop's thread. */
struct control *control_new(struct loop *loop, int listen_fd, struct vm *vm, struct err *err);
void control_free(struct control *control);

#endif
