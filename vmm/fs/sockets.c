/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unix sockets in shared directories, between this guest and whoever else has the directory: the host's own programs, other VMs.
 *
 * A guest's process that binds one makes a file here. It is bound to a socket of ours, too, that listens as long as the guest's
 * does: so connect(2) out here succeeds and fails as it would next to it, and what arrives is led to the guest
 * (vmm/visitors.c). A guest's process that connects asks first whether anybody out here listens; the rest is not the file server's
 * (runtime/host_sockets.h). Both are told and asked by bits of FUSE_ACCESS: guest-kernel/patches/virtiofs-sockets.patch. A kernel
 * without it has files that nobody is bound to.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/log.h"
#include "vmm/fs/operations.h"

#define REQUEST_CONNECT (1 << 16)
#define REQUEST_LISTEN (1 << 17)
#define REQUEST_END (1 << 18)
#define BACKLOG 128
#define SOCKETS_MAX 1024 /* a descriptor each */

/* A path from the working directory, which is /proc/self/fd. False: no address has room for it. */
static bool address_below(struct sockaddr_un *addr, int directory, const char *name)
{
	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	return snprintf(addr->sun_path, sizeof(addr->sun_path), "%d/%s", directory, name) < (int)sizeof(addr->sun_path);
}

/* A bound socket's file has the socket's mode, but for the umask (unix(7), "Pathname socket ownership and permissions"). */
static int make_bound(const struct sockaddr_un *addr, mode_t mode)
{
	auto_fd fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || fchmod(fd, mode & 07777) < 0)
		return -1;
	if (bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0) {
		errno = errno == EADDRINUSE ? EEXIST : errno;
		return -1;
	}
	return fd_take(&fd);
}

int sockets_make(struct passthrough *fs, int directory, const char *name, mode_t mode, int *ret_bound)
{
	struct sockaddr_un addr;
	bool room = address_below(&addr, directory, name);

	*ret_bound = -1;
	if (!fs->own_kernel || !room || fs->inodes.sockets >= SOCKETS_MAX)
		return mknodat(directory, name, mode, 0);
	*ret_bound = make_bound(&addr, mode);
	return *ret_bound < 0 ? -1 : 0;
}

void sockets_keep(struct passthrough *fs, fuse_ino_t id, int bound)
{
	struct inode *inode = bound < 0 ? NULL : inodes_get(&fs->inodes, id);

	pthread_mutex_lock(&fs->sockets);
	if (inode && inode->type == S_IFSOCK && inode->socket < 0) {
		inode->socket = fd_take(&bound);
		fs->inodes.sockets++;
	}
	pthread_mutex_unlock(&fs->sockets);
	fd_close(&bound);
	inodes_put(&fs->inodes, inode);
}

/* Nobody out here knows of this: a socket of the wrong kind is told from none, and notices nothing. */
static int somebody_listens(const struct inode *inode)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	auto_fd probe = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (probe < 0)
		return errno;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", magic_path(inode->fd).name);
	if (connect(probe, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return EPROTOTYPE;
	return errno == EPROTOTYPE ? 0 : errno;
}

static int guest_listens(struct passthrough *fs, const struct inode *inode)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = inode->id };

	if (inode->socket < 0) {
		log_warn_limited("fs: a socket of the guest's stays in the VM: its name is too long, or there are %d others", SOCKETS_MAX);
		return ENOTSOCK;
	}
	if (listen(inode->socket, BACKLOG) < 0)
		return errno;
	/* listen(2) may be called again. */
	return epoll_ctl(fs->visitors, EPOLL_CTL_ADD, inode->socket, &event) < 0 && errno != EEXIST ? errno : 0;
}

static int answer(struct passthrough *fs, struct inode *inode, int request)
{
	int error;

	pthread_mutex_lock(&fs->sockets);
	switch (request) {
	case REQUEST_CONNECT:
		/* What is ours is the guest's own: it has looked there. */
		error = inode->socket >= 0 ? ECONNREFUSED : somebody_listens(inode);
		break;
	case REQUEST_LISTEN:
		error = guest_listens(fs, inode);
		break;
	case REQUEST_END:
		inodes_close_socket(&fs->inodes, inode);
		error = 0;
		break;
	default: /* access(2), which no guest asks for: it checks permissions itself */
		error = ENOSYS;
	}
	pthread_mutex_unlock(&fs->sockets);
	return error;
}

void op_access(fuse_req_t req, fuse_ino_t id, int mask)
{
	auto_inode inode = inode_of(req, id);

	if (!inode.inode || inode.inode->type != S_IFSOCK)
		fuse_reply_err(req, ENOSYS);
	else
		fuse_reply_err(req, answer(passthrough_of(req), inode.inode, mask));
}

int sockets_accept(struct passthrough *fs, uint64_t *ret_id)
{
	struct epoll_event event;
	struct inode *inode = NULL;
	int fd;

	if (epoll_wait(fs->visitors, &event, 1, 0) == 1)
		inode = inodes_get(&fs->inodes, event.data.u64);
	if (!inode)
		return -EAGAIN;
	pthread_mutex_lock(&fs->sockets);
	fd = inode->socket < 0 ? -1 : accept4(inode->socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	pthread_mutex_unlock(&fs->sockets);
	*ret_id = inode->id;
	inodes_put(&fs->inodes, inode);
	return fd < 0 ? -EAGAIN : fd;
}

int sockets_open(struct passthrough *fs, uint64_t id)
{
	struct inode *inode = inodes_get(&fs->inodes, id);
	int fd = -ENOENT;

	if (inode && inode->type == S_IFSOCK) {
		fd = fcntl(inode->fd, F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			fd = -errno;
	}
	inodes_put(&fs->inodes, inode);
	return fd;
}
