/* SPDX-License-Identifier: Apache-2.0 */
/* vsock ports of the agent's contract (agent/proto/agent.proto). */
#ifndef AGENT_PORTS_H
#define AGENT_PORTS_H

#define PORT_CALLS 1024	  /* guest listens: ttrpc */
#define PORT_STREAMS 1025 /* guest listens: "<token> <stream>\n", then bytes */
#define PORT_READY 1024	  /* host listens: the agent connects once it serves; ttrpc, the host calls */
#define PORT_NAMES 1026	  /* host listens: queries for names, as in TCP (RFC 1035, 4.2.2) */
#define PORT_FORWARD 1027 /* host listens: "<number>\n", then bytes (agent/forward.h) */
/* 1028: lib/socket_greeting.h */
#define PORT_OF_NETWORK(port, number) ((port) + 16 * (number)) /* the last two, of each network; the guest's own is number 0 */
#define PORT_STREAMS_LINE_MAX 64
#define STREAM_BUFFER (512 << 10) /* the VMM's credit for a connection is as much (vmm/virtio/vsock_connection.h) */
#define PORT_SOCKETS_FIRST 0x10000 /* host listens, one of these for each container: lib/socket_greeting.h, then bytes */
#define PORT_SOCKETS 0x40000000
#define PRESERVED_FIRST 3 /* the stream of the first preserved descriptor, and its number */
#define PRESERVED_MAX 1024

#endif
