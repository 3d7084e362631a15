/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to sockets of the guest's in shared directories. */
#include "vmm/visitors.h"

#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/socket_greeting.h"
#include "vmm/virtio/vsock.h"

_Static_assert(SOCKET_GREETING_MAX <= VSOCK_LINE_MAX, "the guest is sent whole lines");

static void visitor_arrives(void *ctx, uint32_t events)
{
	const struct visitors *visitors = ctx;
	struct socket_greeting greeting = { .in_directory = true };
	char line[SOCKET_GREETING_MAX + 1];
	int fd = fs_server_accept(visitors->server, &greeting.socket);

	(void)events;
	if (fd < 0)
		return;
	if (socket_greeting_of_peer(&greeting, fd) < 0) {
		log_warn_limited("a connection to a socket of the guest's does not say whose it is");
		close(fd);
		return;
	}
	socket_greeting_write(line, &greeting);
	vsock_connect_guest(visitors->vsock, fd, PORT_VISITORS, line);
}

int visitors_watch(struct visitors *visitors, struct loop *loop, struct err *err)
{
	return loop_add(loop, fs_server_visitors(visitors->server), EPOLLIN, visitor_arrives, visitors, err);
}
