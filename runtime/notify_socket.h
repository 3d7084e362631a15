/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sd_notify(3) for containers: podman (--sdnotify=container) mounts a directory in which conmon listens, and names the socket in
 * NOTIFY_SOCKET. Sockets in a shared directory do not leave the VM; this one is made a mount of its own (runtime/host_sockets.h).
 */
#ifndef RUNTIME_NOTIFY_SOCKET_H
#define RUNTIME_NOTIFY_SOCKET_H

#include <jansson.h>

#include "lib/err.h"
#include "runtime/share.h"

/* Adds it to the config's mounts and to the list, which has the shares of the others: 1; there is none: 0; or -errno. */
int notify_socket_share(const char *bundle, json_t *config, struct share_list *list, struct err *err) must_check;

#endif
