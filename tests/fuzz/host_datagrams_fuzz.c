/* SPDX-License-Identifier: Apache-2.0 */
/* The input is what a guest sends as datagrams for a socket of the host. */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/host_datagrams.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void done(void *ctx)
{
	*(int *)ctx = 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int stream[2], datagrams[2], ended = 0;
	struct err err;
	struct loop *loop = loop_new(&err);
	char received[64];

	if (!loop || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, stream) < 0 ||
	    socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, datagrams) < 0 ||
	    !host_datagrams_new(loop, stream[1], datagrams[1], done, &ended, &err))
		abort();
	/* As much as there is room for. */
	(void)!write(stream[0], data, size);
	close(stream[0]);
	while (!ended) {
		if (loop_step(loop, 0) < 0)
			abort();
		while (recv(datagrams[0], received, sizeof(received), 0) >= 0)
			;
	}
	close(datagrams[0]);
	loop_free(loop);
	return 0;
}
