/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets between the guest and its host. */
#ifndef AGENT_VSOCK_H
#define AGENT_VSOCK_H

#include "lib/err.h"

/*
 * Listens on a port for everybody: who accepts checks where a connection comes from. Returns a nonblocking descriptor, the
 * caller's, or -errno with *err.
 */
int vsock_listen(unsigned int port, struct err *err) must_check;

/*
 * Connects to a port of the host. It has 30 s to be accepted. With SOCK_NONBLOCK in flags it may still be being made. Returns the caller's
 * descriptor, or -errno with *err.
 */
int vsock_connect_host(unsigned int port, int flags, struct err *err) must_check;

#endif
