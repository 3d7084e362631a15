/* SPDX-License-Identifier: Apache-2.0 */
/* Calls to the agent. */
#include "runtime/agent_client.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/ports.h"
#include "lib/cleanup.h"
#include "lib/fdpass.h"
#include "lib/io.h"

/* Until the guest has accepted: the VMM then sends "OK <port>\n". */
static int read_ok(int fd, struct err *err)
{
	int64_t deadline = io_now_ms() + AGENT_TIMEOUT_MS;
	char line[32];
	size_t used = 0;

	do {
		ssize_t n;

		if (io_wait_readable(fd, deadline) < 0)
			return err_msg(err, ETIMEDOUT, "the guest does not accept a connection");
		n = recv(fd, line + used, 1, 0);
		if (n <= 0)
			return err_msg(err, ECONNREFUSED, "the guest refused the connection");
	} while (line[used++] != '\n' && used < sizeof(line) - 1);
	if (used < 3 || memcmp(line, "OK ", 3))
		return err_msg(err, EPROTO, "the VMM's answer is not understood");
	return 0;
}

int agent_dial(const char *vm_dir, unsigned int port, struct err *err)
{
	char path[PATH_MAX], line[32];
	auto_fd fd = -1;
	int n = snprintf(line, sizeof(line), "CONNECT %u\n", port), ret;

	if (snprintf(path, sizeof(path), "%s/vsock", vm_dir) >= (int)sizeof(path))
		return err_set(err, ENAMETOOLONG, "%s", vm_dir);
	fd = fdpass_connect(path, err);
	if (fd < 0)
		return fd_take(&fd);
	ret = io_write_all(fd, line, (size_t)n);
	if (ret < 0)
		return err_set(err, -ret, "connect to the guest");
	ret = read_ok(fd, err);
	return ret < 0 ? ret : fd_take(&fd);
}

static const struct ttrpc_ops client_ops = { .request = NULL, .closed = NULL };

int agent_call_once(const char *vm_dir, const char *method, const ProtobufCMessage *request,
		    const ProtobufCMessageDescriptor *descriptor, ProtobufCMessage **answer, struct err *err)
{
	struct loop *loop = loop_new(err);
	struct ttrpc *conn = NULL;
	int fd, ret = -1;

	if (!loop)
		return -err->code;
	fd = agent_dial(vm_dir, PORT_CALLS, err);
	if (fd >= 0)
		conn = ttrpc_new(loop, fd, &client_ops, NULL, err);
	ret = conn ? ttrpc_call_wait(conn, loop, AGENT_SERVICE, method, request, descriptor, answer, AGENT_TIMEOUT_MS, err) :
		     -err->code;
	ttrpc_free(conn);
	loop_free(loop);
	return ret;
}

int agent_make_token(char token[33], struct err *err)
{
	unsigned char bytes[16];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return err_set(err, errno, "getrandom");
	for (size_t i = 0; i < sizeof(bytes); i++)
		sprintf(token + 2 * i, "%02x", bytes[i]);
	return 0;
}

int agent_dial_stream(const char *vm_dir, const char *token, unsigned int stream, struct err *err)
{
	auto_fd fd = agent_dial(vm_dir, PORT_STREAMS, err);
	char line[PORT_STREAMS_LINE_MAX];
	int ret;

	if (fd < 0)
		return fd_take(&fd);
	snprintf(line, sizeof(line), "%s %u\n", token, stream);
	ret = io_write_all(fd, line, strlen(line));
	return ret < 0 ? err_set(err, -ret, "open a stream to the guest") : fd_take(&fd);
}
