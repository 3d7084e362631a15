/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first line of a connection between a process in the guest and a unix socket on the other side, or the other way round: which
 * socket, and who connects. All are decimal numbers: "<socket> <user> <group>[ <supplementary group>...]\n".
 */
#ifndef LIB_SOCKET_GREETING_H
#define LIB_SOCKET_GREETING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SOCKET_GREETING_GROUPS_MAX 64
#define SOCKET_GREETING_MAX (22 + 11 * (2 + SOCKET_GREETING_GROUPS_MAX)) /* bytes of a line, its newline included */

#define PORT_VISITORS 1028 /* the guest listens on this vsock port for connections to its sockets (agent/visitors.h) */

struct socket_greeting {
	bool in_directory; /* of those that are shared; "i" comes before the number then */
	uint64_t socket; /* its id on the file server, or, of one for datagrams, its index in config.json's mounts; less than 2^64 - 1 */
	uid_t uid; /* never -1, which setresuid(2) takes for "as it is" */
	gid_t gid;
	gid_t groups[SOCKET_GREETING_GROUPS_MAX];
	size_t ngroups;
};

/* Who has connected to a socket that fd was accepted from, or the other end of fd; whoever is in too many groups is in none. 0 or -errno. */
int socket_greeting_of_peer(struct socket_greeting *greeting, int fd);

/* The line's length. */
size_t socket_greeting_write(char line[SOCKET_GREETING_MAX + 1], const struct socket_greeting *greeting);

/* len bytes that the guest sent, the newline among them: 0, or -EINVAL if they are anything but such a line. */
int socket_greeting_read(struct socket_greeting *greeting, const char *line, size_t len);

#endif
