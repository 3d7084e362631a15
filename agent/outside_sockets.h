/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets in shared directories that somebody outside of this guest is bound to: the host's own programs, other VMs. The kernel gives
 * connections to them to this listener (guest-kernel/patches/virtiofs-sockets.patch), which leads them there by the way of the
 * container that they come from (agent/host_sockets.h).
 */
#ifndef AGENT_OUTSIDE_SOCKETS_H
#define AGENT_OUTSIDE_SOCKETS_H

#include "lib/err.h"
#include "lib/loop.h"

struct containers;
struct outside_sockets;

/* One for the guest, and for its life. containers is borrowed. NULL on error: this kernel has no such thing. */
struct outside_sockets *outside_sockets_new(struct containers *containers, struct loop *loop, struct err *err);

/* Whoever has connected until now is on the way. May be NULL. */
void outside_sockets_take_all(struct outside_sockets *outside);

#endif
