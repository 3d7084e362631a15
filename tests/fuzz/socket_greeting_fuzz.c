/* SPDX-License-Identifier: Apache-2.0 */
/* The input is what a guest sends first on a connection to a socket of the host. What is accepted is written in the same way. */
#include <stdlib.h>
#include <string.h>

#include "lib/socket_greeting.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char line[SOCKET_GREETING_MAX + 1], once_more[SOCKET_GREETING_MAX + 1];
	struct socket_greeting greeting, again;

	if (size > SOCKET_GREETING_MAX || socket_greeting_read(&greeting, (const char *)data, size) < 0)
		return 0;
	size = socket_greeting_write(line, &greeting);
	if (socket_greeting_read(&again, line, size) < 0)
		abort();
	socket_greeting_write(once_more, &again);
	if (strcmp(line, once_more) != 0)
		abort();
	return 0;
}
