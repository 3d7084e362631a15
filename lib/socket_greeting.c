/* SPDX-License-Identifier: Apache-2.0 */
/* Who connects to a socket of the host. */
#include "lib/socket_greeting.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/socket.h>

#include "lib/cleanup.h"

int socket_greeting_of_peer(struct socket_greeting *greeting, int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer), groups_len = sizeof(greeting->groups);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return -errno;
	greeting->uid = peer.uid;
	greeting->gid = peer.gid;
	greeting->ngroups = 0;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, greeting->groups, &groups_len) == 0)
		greeting->ngroups = groups_len / sizeof(*greeting->groups);
	return 0;
}

size_t socket_greeting_write(char line[SOCKET_GREETING_MAX + 1], const struct socket_greeting *greeting)
{
	int used = sprintf(line, "%s%" PRIu64 " %u %u", greeting->in_directory ? "i" : "", greeting->socket, greeting->uid, greeting->gid);

	for (size_t i = 0; i < greeting->ngroups; i++)
		used += sprintf(line + used, " %u", greeting->groups[i]);
	line[used++] = '\n';
	line[used] = '\0';
	return (size_t)used;
}

/* One number, less than max, and the byte behind it. *at ends behind that. */
static int read_number(const char **at, const char *end, uint64_t max, uint64_t *ret, char *ret_behind)
{
	const char *start = *at;

	for (*ret = 0; *at < end && **at >= '0' && **at <= '9'; ++*at) {
		uint64_t digit = (uint64_t)(**at - '0');

		if (*ret > (max - 1 - digit) / 10)
			return -EINVAL;
		*ret = *ret * 10 + digit;
	}
	if (*at == start || *at == end || (**at != ' ' && **at != '\n'))
		return -EINVAL;
	*ret_behind = *(*at)++;
	return 0;
}

int socket_greeting_read(struct socket_greeting *greeting, const char *line, size_t len)
{
	const char *at = line + (len > 0 && *line == 'i'), *end = line + len;
	uint64_t numbers[2 + SOCKET_GREETING_GROUPS_MAX];
	char behind;
	size_t n = 0;

	*greeting = (struct socket_greeting){ .in_directory = len > 0 && *line == 'i' };
	if (read_number(&at, end, greeting->in_directory ? UINT64_MAX : UINT32_MAX, &greeting->socket, &behind) < 0)
		return -EINVAL;
	while (behind == ' ')
		if (n == ARRAY_SIZE(numbers) || read_number(&at, end, UINT32_MAX, &numbers[n++], &behind) < 0)
			return -EINVAL;
	if (n < 2 || at != end)
		return -EINVAL;
	greeting->uid = (uid_t)numbers[0];
	greeting->gid = (gid_t)numbers[1];
	greeting->ngroups = n - 2;
	for (size_t i = 0; i < greeting->ngroups; i++)
		greeting->groups[i] = (gid_t)numbers[2 + i];
	return 0;
}
