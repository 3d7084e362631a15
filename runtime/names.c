/* SPDX-License-Identifier: Apache-2.0 */
/* Docker's name server, the host's side. */
#include "runtime/names.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/ports.h"
#include "lib/cleanup.h"
#include "lib/fdpass.h"
#include "lib/io.h"
#include "lib/log.h"
#include "lib/relay.h"

#define CONNECTIONS_MAX 128
#define SOCKETS_MAX_BYTES (1 << 20)

bool names_are_served(int proc_dir)
{
	struct err ignored;
	auto_free char *text = io_read_file(proc_dir, "thread-self/net/udp", SOCKETS_MAX_BYTES, NULL, &ignored);

	return text && strstr(text, ": 0B00007F:"); /* 127.0.0.11 in proc(5)'s byte order */
}

int names_prepare(struct names *names, const char *vm_dir, unsigned int network, struct err *err)
{
	char path[PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s/vsock_%u", vm_dir, PORT_OF_NETWORK(PORT_NAMES, network));
	*names = (struct names){ .listener = fdpass_listen(path, 16, err) };
	return names->listener < 0 ? -err->code : 0;
}

static void relay_done(void *ctx)
{
	((struct names *)ctx)->n--;
}

static int dial_server(void)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(53),
		.sin_addr.s_addr = htonl(0x7f00000b),
	};
	auto_fd fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 && errno != EINPROGRESS))
		return -errno;
	return fd_take(&fd);
}

static void guest_asks(void *ctx, uint32_t events)
{
	struct names *names = ctx;
	int fd = accept4(names->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int server = fd >= 0 && names->n < CONNECTIONS_MAX ? dial_server() : -1;
	struct err err;

	(void)events;
	if (server < 0) {
		log_warn_limited("a query for a name is dropped");
		if (fd >= 0)
			close(fd);
		return;
	}
	if (relay_new(names->loop, fd, server, RELAY_BOTH, relay_done, names, &err))
		names->n++;
	else
		log_warn_limited("%s", err.msg);
}

int names_start(struct names *names, struct loop *loop, struct err *err)
{
	names->loop = loop;
	return loop_add(loop, names->listener, EPOLLIN, guest_asks, names, err);
}
