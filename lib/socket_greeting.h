/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first line of a connection that a process in the guest makes to a socket of the host: which socket, and who connects. All are
 * decimal numbers: "<index in config.json's mounts> <user> <group>[ <supplementary group>...]\n".
 */
#ifndef LIB_SOCKET_GREETING_H
#define LIB_SOCKET_GREETING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SOCKET_GREETING_GROUPS_MAX 64
#define SOCKET_GREETING_MAX (11 * (3 + SOCKET_GREETING_GROUPS_MAX)) /* bytes of a line, its newline included */

struct socket_greeting {
	uint32_t index;
	uid_t uid; /* never -1, which setresuid(2) takes for "as it is" */
	gid_t gid;
	gid_t groups[SOCKET_GREETING_GROUPS_MAX];
	size_t ngroups;
};

/* The line's length. */
size_t socket_greeting_write(char line[SOCKET_GREETING_MAX + 1], const struct socket_greeting *greeting);

/* len bytes that the guest sent, the newline among them: 0, or -EINVAL if they are anything but such a line. */
int socket_greeting_read(struct socket_greeting *greeting, const char *line, size_t len);

#endif
