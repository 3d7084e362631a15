/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets between the guest and its host (vsock(7)). */
#include "agent/vsock.h"

#include <errno.h>
#include <linux/vm_sockets.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "lib/cleanup.h"

#define CONNECT_TIMEOUT 30 /* seconds; Linux' own 2 pass on a host that is busy, or a VM that was paused */

int vsock_listen(unsigned int port, struct err *err)
{
	auto_fd fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_vm addr = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port };

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 64) < 0)
		return err_set(err, errno, "listen on vsock port %u", port);
	return fd_take(&fd);
}

int vsock_set_buffer(int fd, unsigned int size, struct err *err)
{
	unsigned long long value = size;

	if (setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_MAX_SIZE, &value, sizeof(value)) < 0 ||
	    setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &value, sizeof(value)) < 0)
		return err_set(err, errno, "buffer of a vsock socket");
	return 0;
}

int vsock_connect_host(unsigned int port, int flags, struct err *err)
{
	auto_fd fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	struct sockaddr_vm addr = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = port };
	struct timeval timeout = { .tv_sec = CONNECT_TIMEOUT };

	if (fd < 0 || setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &timeout, sizeof(timeout)) < 0)
		return err_set(err, errno, "create a socket to the host");
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 && errno != EINPROGRESS)
		return err_set(err, errno, "connect to the host's vsock port %u", port);
	return fd_take(&fd);
}
