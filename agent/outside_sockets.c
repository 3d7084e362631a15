/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to sockets outside of the guest. */
#include "agent/outside_sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/container.h"
#include "agent/host_sockets.h"
#include "lib/cleanup.h"
#include "lib/log.h"

#define SIOCUNIXFILE (SIOCPROTOPRIVATE + 0) /* unix(7): an O_PATH descriptor of the socket's file; linux/un.h clashes with sys/un.h */
#define SIOCUNIXOUTSIDE (SIOCPROTOPRIVATE + 1) /* guest-kernel/patches/virtiofs-sockets.patch */

struct outside_sockets {
	struct containers *containers; /* borrowed */
	int listener;		       /* owned */
};

/* What the file server knows a file by. Its handle: the upper half of the id, the lower half, a generation (Linux, fuse_encode_fh). */
static int id_of(int fd, uint64_t *ret, struct err *err)
{
	struct {
		struct file_handle handle;
		uint32_t words[32];
	} file = { .handle.handle_bytes = sizeof(file.words) };
	int mount;

	if (name_to_handle_at(fd, "", &file.handle, &mount, AT_EMPTY_PATH) < 0)
		return err_set(err, errno, "the id of a socket");
	if (file.handle.handle_bytes != 3 * sizeof(uint32_t))
		return err_msg(err, EPROTO, "the id of a socket: its file handle has %u bytes", file.handle.handle_bytes);
	*ret = (uint64_t)file.words[0] << 32 | file.words[1];
	return 0;
}

static int lead_out(const struct outside_sockets *outside, int client, struct err *err)
{
	struct socket_greeting greeting = { .in_directory = true };
	struct host_sockets *way;
	struct ucred peer;
	socklen_t len = sizeof(peer);
	auto_fd file = ioctl(client, SIOCUNIXFILE);

	if (file < 0 || getsockopt(client, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return err_set(err, errno, "which socket outside of the guest is meant");
	if (id_of(file, &greeting.socket, err) < 0)
		return -err->code;
	way = containers_way_out(outside->containers, peer.pid);
	if (!way)
		return err_msg(err, ESRCH, "no container connects to a socket outside of the guest");
	host_sockets_lead(way, client, &greeting);
	return 0;
}

/* False: nobody is waiting. */
static bool take_client(const struct outside_sockets *outside)
{
	int client = accept4(outside->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct err err;

	if (client < 0)
		return false;
	if (lead_out(outside, client, &err) < 0) {
		log_warn_limited("%s", err.msg);
		close(client);
	}
	return true;
}

static void client_arrives(void *ctx, uint32_t events)
{
	(void)events;
	take_client(ctx);
}

void outside_sockets_take_all(struct outside_sockets *outside)
{
	while (outside && take_client(outside))
		;
}

static int listen_for_all(struct err *err)
{
	static const struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = "/run/outside-sockets" };
	auto_fd fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, SOMAXCONN) < 0)
		return err_set(err, errno, "listen on %s", addr.sun_path);
	if (ioctl(fd, SIOCUNIXOUTSIDE) < 0)
		return err_set(err, errno, "the kernel does not lead them to the agent");
	return fd_take(&fd);
}

struct outside_sockets *outside_sockets_new(struct containers *containers, struct loop *loop, struct err *err)
{
	auto_free struct outside_sockets *outside = calloc(1, sizeof(*outside));
	auto_fd listener = -1;

	if (!outside) {
		err_set(err, ENOMEM, "sockets outside of the guest");
		return NULL;
	}
	listener = listen_for_all(err);
	if (listener < 0 || loop_add(loop, listener, EPOLLIN, client_arrives, outside, err) < 0)
		return NULL;
	outside->containers = containers;
	outside->listener = fd_take(&listener);
	return ptr_take(&outside);
}
