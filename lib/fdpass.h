/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors over unix sockets (SCM_RIGHTS). Received ones are close-on-exec. */
#ifndef LIB_FDPASS_H
#define LIB_FDPASS_H

#include <stddef.h>
#include <sys/types.h>

#include "lib/err.h"

#define FDPASS_MAX 16

/* Sends buf (at least 1 byte) with nfds (at most FDPASS_MAX) descriptors in one message. 0 or -errno. */
int fdpass_send(int sock, const void *buf, size_t len, const int *fds, size_t nfds) must_check;

/*
 * Receives at most len bytes; ret_fds must have room for FDPASS_MAX, *ret_nfds gets how many came (the caller owns
 * them). Returns the number of bytes, 0 at the end, or -errno (-EMSGSIZE when descriptors were cut off: none is kept).
 */
ssize_t fdpass_receive(int sock, void *buf, size_t len, int *ret_fds, size_t *ret_nfds) must_check;

/* Connects to the unix stream socket at path, of any length (with /proc in view). A close-on-exec descriptor or -errno. */
int fdpass_connect(const char *path, struct err *err) must_check;

/* A listening unix stream socket at path below the process's current view; mode 0600. */
int fdpass_listen(const char *path, int backlog, struct err *err) must_check;

#endif
