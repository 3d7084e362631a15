/* SPDX-License-Identifier: Apache-2.0 */
/* Who connects to a socket of the host. */
#include "lib/socket_greeting.h"

#include <errno.h>
#include <stdio.h>

#include "lib/cleanup.h"

size_t socket_greeting_write(char line[SOCKET_GREETING_MAX + 1], const struct socket_greeting *greeting)
{
	int used = sprintf(line, "%u %u %u", greeting->index, greeting->uid, greeting->gid);

	for (size_t i = 0; i < greeting->ngroups; i++)
		used += sprintf(line + used, " %u", greeting->groups[i]);
	line[used++] = '\n';
	line[used] = '\0';
	return (size_t)used;
}

/* One number and the byte behind it. *at ends behind that. */
static int read_number(const char **at, const char *end, uint32_t *ret, char *ret_behind)
{
	uint64_t value = 0;
	const char *start = *at;

	while (*at < end && **at >= '0' && **at <= '9' && value < UINT32_MAX)
		value = value * 10 + (uint64_t)(*(*at)++ - '0');
	if (*at == start || *at == end || value >= UINT32_MAX || (**at != ' ' && **at != '\n'))
		return -EINVAL;
	*ret = (uint32_t)value;
	*ret_behind = *(*at)++;
	return 0;
}

int socket_greeting_read(struct socket_greeting *greeting, const char *line, size_t len)
{
	const char *at = line, *end = line + len;
	uint32_t numbers[3 + SOCKET_GREETING_GROUPS_MAX];
	char behind = ' ';
	size_t n = 0;

	while (behind == ' ')
		if (n == ARRAY_SIZE(numbers) || read_number(&at, end, &numbers[n++], &behind) < 0)
			return -EINVAL;
	if (n < 3 || at != end)
		return -EINVAL;
	*greeting = (struct socket_greeting){ .index = numbers[0], .uid = numbers[1], .gid = numbers[2], .ngroups = n - 3 };
	for (size_t i = 0; i < greeting->ngroups; i++)
		greeting->groups[i] = numbers[3 + i];
	return 0;
}
