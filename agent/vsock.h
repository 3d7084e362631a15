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
 * Bytes that may be under way at once, in each direction; Linux has 256 KiB. Connections that a listening socket accepts inherit it.
 * Linux sends no more than this unacknowledged, whatever credit the host gives. 0, or -errno with *err.
 */
int vsock_set_buffer(int fd, unsigned int size, struct err *err) must_check;

/*
 * Connects to a port of the host. It has 30 s to be accepted. With SOCK_NONBLOCK in flags it may still be being made. Returns the caller's
 * descriptor, or -errno with *err.
 */
int vsock_connect_host(unsigned int port, int flags, struct err *err) must_check;

#endif
