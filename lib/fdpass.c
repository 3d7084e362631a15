/* SPDX-License-Identifier: Apache-2.0 */
/* Unix sockets and the descriptors that travel over them. */
#include "lib/fdpass.h"

#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/cleanup.h"

union control {
	struct cmsghdr align;
	char buf[CMSG_SPACE(FDPASS_MAX * sizeof(int))];
};

int fdpass_send(int sock, const void *buf, size_t len, const int *fds, size_t nfds)
{
	struct iovec iov = { .iov_base = (void *)buf, .iov_len = len };
	union control control = { 0 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (nfds > FDPASS_MAX || len == 0)
		return -EINVAL;
	if (nfds > 0) {
		struct cmsghdr *cmsg;

		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, nfds * sizeof(int));
	}
	do {
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

static void collect_fds(struct msghdr *msg, int *ret_fds, size_t *ret_nfds)
{
	struct cmsghdr *cmsg;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		size_t n, i;

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(fd));
			if (*ret_nfds < FDPASS_MAX)
				ret_fds[(*ret_nfds)++] = fd;
			else
				close(fd);
		}
	}
}

ssize_t fdpass_receive(int sock, void *buf, size_t len, int *ret_fds, size_t *ret_nfds)
{
	struct iovec iov = { .iov_base = buf, .iov_len = len };
	union control control;
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	ssize_t n;

	*ret_nfds = 0;
	do {
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	collect_fds(&msg, ret_fds, ret_nfds);
	if (msg.msg_flags & MSG_CTRUNC) {
		while (*ret_nfds > 0)
			close(ret_fds[--*ret_nfds]);
		return -EMSGSIZE;
	}
	return n;
}

/*
 * docker's state directories alone are longer than the 107 bytes of an address: such a path goes by way of its directory,
 * opened as *ret_dir (owned by the caller; -1 if none was needed).
 */
static int unix_address(struct sockaddr_un *addr, const char *path, int *ret_dir, struct err *err)
{
	const char *slash = strrchr(path, '/');
	auto_free char *parent = NULL;
	auto_fd dir = -1;

	*ret_dir = -1;
	memset(addr, 0, sizeof(*addr));
	addr->sun_family = AF_UNIX;
	if (strlen(path) < sizeof(addr->sun_path)) {
		memcpy(addr->sun_path, path, strlen(path) + 1);
		return 0;
	}
	parent = slash ? strndup(path, (size_t)(slash - path)) : NULL;
	dir = parent ? open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	if (dir < 0)
		return err_set(err, parent ? errno : ENAMETOOLONG, "socket path %s", path);
	if (snprintf(addr->sun_path, sizeof(addr->sun_path), "/proc/self/fd/%d/%s", dir, slash + 1) >= (int)sizeof(addr->sun_path))
		return err_set(err, ENAMETOOLONG, "socket path %s", path);
	*ret_dir = fd_take(&dir);
	return 0;
}

int fdpass_connect(const char *path, struct err *err)
{
	auto_fd fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	auto_fd dir = -1;
	struct sockaddr_un addr;
	int ret;

	if (fd < 0)
		return err_set(err, errno, "create a unix socket");
	ret = unix_address(&addr, path, &dir, err);
	if (ret < 0)
		return ret;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return err_set(err, errno, "connect to %s", path);
	return fd_take(&fd);
}

int fdpass_listen(const char *path, int backlog, struct err *err)
{
	auto_fd fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	auto_fd dir = -1;
	struct sockaddr_un addr;
	int ret;

	if (fd < 0)
		return err_set(err, errno, "create a unix socket");
	ret = unix_address(&addr, path, &dir, err);
	if (ret < 0)
		return ret;
	/* Set before bind(2): the file never exists with a wider mode. */
	if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, backlog) < 0)
		return err_set(err, errno, "listen on %s", path);
	return fd_take(&fd);
}
