/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datagrams on a stream: what the guest sends, after the first line (lib/socket_greeting.h), on a connection to a socket of the host
 * that takes datagrams. Each is this header and its bytes. Both ends are of one machine: the numbers are in its byte order.
 */
#ifndef LIB_DATAGRAM_FRAME_H
#define LIB_DATAGRAM_FRAME_H

#include <stdint.h>

/* More than a socket's buffer of the usual size takes (net.core.wmem_default). */
#define DATAGRAM_MAX (256 << 10)

struct datagram_frame {
	uint32_t len; /* of what follows, at most DATAGRAM_MAX */
	uint32_t uid, gid; /* the sender's */
};

#endif
