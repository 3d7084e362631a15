/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libfuse's session between the virtqueue and the operations.
 *
 * Every operation answers on the thread that called fs_server_handle, before it returns, so the reply belongs to the
 * request that this thread serves: a thread-local pointer connects libfuse's writev to it.
 */
#include "vmm/fs/server.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/log.h"
#include "vmm/fs/check.h"
#include "vmm/fs/operations.h"
#include "vmm/virtio/virtqueue.h"

struct fs_server {
	struct passthrough fs;
	struct fuse_session *session; /* owned */
	pthread_rwlock_t session_lock; /* written while the session is replaced */
};

static __thread struct fs_request *current;

struct fs_request *fs_current_request(void)
{
	return current;
}

/* Copies into the reply, but not onto itself: READ has put its data in place already. */
static size_t copy_reply(struct fs_request *request, const struct iovec *iov, int count)
{
	size_t offset = 0;

	for (int i = 0; i < count; i++) {
		struct iovec place;

		if (iov[i].iov_len == 0)
			continue;
		if (iov_slice(request->reply, request->nreply, offset, 1, &place) && place.iov_base == iov[i].iov_base)
			offset += iov[i].iov_len;
		else
			offset += iov_write(request->reply, request->nreply, offset, iov[i].iov_base, iov[i].iov_len);
	}
	return offset;
}

#define OWN_KERNEL (1U << 31) /* in flags2; no other kernel sets it: guest-kernel/patches/virtiofs-locks.patch */

static bool has_own_kernel(const struct fs_request *request)
{
	const struct fuse_in_header *in = request->data;
	const struct fuse_init_in *init = (const struct fuse_init_in *)(in + 1);

	/* With FUSE_INIT_EXT the whole struct is there: check.c. */
	return in->opcode == FUSE_INIT && init->flags & FUSE_INIT_EXT && init->flags2 & OWN_KERNEL;
}

#define OWN_KERNELS_FLAGS (FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS | FUSE_POSIX_ACL | FUSE_DONT_MASK)

/* The attributes in the answer to a request; NULL if there are none. */
static struct fuse_attr *attributes_in(uint32_t opcode, const struct iovec *body)
{
	switch (opcode) {
	case FUSE_LOOKUP:
	case FUSE_CREATE: /* and struct fuse_open_out */
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_SYMLINK:
	case FUSE_LINK:
		return body->iov_len >= sizeof(struct fuse_entry_out) ? &((struct fuse_entry_out *)body->iov_base)->attr : NULL;
	case FUSE_GETATTR:
	case FUSE_SETATTR:
		return body->iov_len >= sizeof(struct fuse_attr_out) ? &((struct fuse_attr_out *)body->iov_base)->attr : NULL;
	default:
		return NULL;
	}
}

/* What libfuse does not know is put into its answers: flags of INIT, of OPEN, and those of attributes. */
static void announce(const struct fs_request *request, const struct iovec *body)
{
	const struct fuse_in_header *in = request->data;
	const struct fuse_init_in *init = (const struct fuse_init_in *)(in + 1);
	struct fuse_init_out *init_out = body->iov_base;
	struct fuse_attr *attributes = attributes_in(in->opcode, body);

	if (in->opcode == FUSE_INIT && body->iov_len > offsetof(struct fuse_init_out, flags))
		init_out->flags |= (init->flags & FUSE_SUBMOUNTS) | (has_own_kernel(request) ? OWN_KERNELS_FLAGS : 0);
	if (in->opcode == FUSE_OPEN && body->iov_len >= sizeof(struct fuse_open_out))
		((struct fuse_open_out *)body->iov_base)->open_flags |= request->open_flags;
	if (attributes)
		attributes->flags |= request->attribute_flags;
}

static ssize_t reply_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	struct fs_request *request = current;
	size_t total = 0, room = 0;

	(void)fd;
	(void)userdata;
	for (int i = 0; i < count; i++)
		total += iov[i].iov_len;
	for (size_t i = 0; i < request->nreply; i++)
		room += request->reply[i].iov_len;
	/* A guest that leaves no room for its answer gets none: the chain comes back with nothing written. */
	if (total > room || request->written) {
		errno = EINVAL;
		return -1;
	}
	if (count > 1)
		announce(request, &iov[1]);
	request->written = (uint32_t)copy_reply(request, iov, count);
	return (ssize_t)total;
}

/* Never called: requests are pushed in by fs_server_handle. */
static ssize_t no_read(int fd, void *buf, size_t len, void *userdata)
{
	(void)fd;
	(void)buf;
	(void)len;
	(void)userdata;
	errno = ENOSYS;
	return -1;
}

static struct fuse_session *session_new(struct passthrough *fs, struct err *err)
{
	static const struct fuse_custom_io io = { .writev = reply_writev, .read = no_read };
	char program[] = "cella-vmm";
	char *argv[] = { program, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	struct fuse_session *session = fuse_session_new(&args, &passthrough_ops, sizeof(passthrough_ops), fs);
	int fd;

	fuse_opt_free_args(&args); /* the parser has made a copy */
	if (!session) {
		err_set(err, ENOMEM, "create a FUSE session");
		return NULL;
	}
	/* libfuse wants a descriptor that it may close; nothing is read from it. */
	fd = dup(fs->proc_self_fd);
	if (fd < 0 || fuse_session_custom_io(session, &io, fd) != 0) {
		err_set(err, errno, "set up the FUSE session");
		fuse_session_destroy(session);
		return NULL;
	}
	return session;
}

struct fs_server *fs_server_new(int proc_self_fd, struct err *err)
{
	struct fs_server *server = calloc(1, sizeof(*server));

	if (!server) {
		err_set(err, ENOMEM, "create the file server");
		return NULL;
	}
	inodes_init(&server->fs.inodes, FS_INODES_MAX);
	pthread_mutex_init(&server->fs.lock, NULL);
	pthread_mutex_init(&server->fs.modes, NULL);
	pthread_mutex_init(&server->fs.locks, NULL);
	pthread_mutex_init(&server->fs.sockets, NULL);
	pthread_rwlock_init(&server->session_lock, NULL);
	table_init(&server->fs.handles, FS_HANDLES_MAX);
	server->fs.proc_self_fd = proc_self_fd;
	server->fs.visitors = epoll_create1(EPOLL_CLOEXEC);
	if (server->fs.visitors < 0)
		err_set(err, errno, "epoll_create1");
	else
		server->session = session_new(&server->fs, err);
	if (!server->session) {
		server->fs.proc_self_fd = -1;
		fs_server_free(server);
		return NULL;
	}
	return server;
}

void fs_server_free(struct fs_server *server)
{
	if (!server)
		return;
	if (server->session)
		fuse_session_destroy(server->session);
	passthrough_drop_handles(&server->fs);
	inodes_clear(&server->fs.inodes);
	while (server->fs.shares) {
		struct share *share = server->fs.shares;

		server->fs.shares = share->next;
		close(share->fd);
		free(share);
	}
	fd_close(&server->fs.visitors);
	if (server->fs.proc_self_fd >= 0)
		close(server->fs.proc_self_fd);
	free(server);
}

int fs_server_add_share(struct fs_server *server, const char *name, int fd, struct err *err)
{
	struct share *share, *other;
	struct stat st;

	if (!*name || strlen(name) >= FS_SHARE_NAME_MAX || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return err_set(err, EINVAL, "share name '%s'", name);
	if (fstat(fd, &st) < 0)
		return err_set(err, errno, "share '%s'", name);
	share = calloc(1, sizeof(*share));
	if (!share)
		return err_set(err, ENOMEM, "share '%s'", name);
	strcpy(share->name, name);
	share->fd = fd;
	share->dev = st.st_dev;
	pthread_mutex_lock(&server->fs.lock);
	for (other = server->fs.shares; other && strcmp(other->name, name); other = other->next)
		;
	if (!other) {
		share->next = server->fs.shares;
		server->fs.shares = share;
	}
	pthread_mutex_unlock(&server->fs.lock);
	if (other) {
		free(share);
		return err_set(err, EEXIST, "share '%s'", name);
	}
	return 0;
}

int fs_server_remove_share(struct fs_server *server, const char *name)
{
	struct share **at = &server->fs.shares, *found;

	pthread_mutex_lock(&server->fs.lock);
	while (*at && strcmp((*at)->name, name))
		at = &(*at)->next;
	found = *at;
	if (found)
		*at = found->next;
	pthread_mutex_unlock(&server->fs.lock);
	if (!found)
		return -ENOENT;
	close(found->fd);
	free(found);
	return 0;
}

int fs_server_visitors(const struct fs_server *server)
{
	return server->fs.visitors;
}

int fs_server_accept(struct fs_server *server, uint64_t *ret_id)
{
	return sockets_accept(&server->fs, ret_id);
}

int fs_server_open_socket(struct fs_server *server, uint64_t id)
{
	return sockets_open(&server->fs, id);
}

/* The answer to what libfuse does not get to see. */
static void reply_error(struct fs_request *request, int error)
{
	const struct fuse_in_header *in = request->data;
	struct fuse_out_header out = { .len = sizeof(out), .error = error, .unique = in->unique };
	struct iovec iov = { .iov_base = &out, .iov_len = sizeof(out) };

	/* FORGETs have no answer, not even to malformed ones. */
	if (in->opcode == FUSE_FORGET || in->opcode == FUSE_BATCH_FORGET || in->opcode == FUSE_INTERRUPT)
		return;
	if (reply_writev(-1, &iov, 1, NULL) < 0)
		log_warn_limited("fs: a request leaves no room for an answer");
}

/* libfuse before 3.17 does not know the one operation that is like another in all but a flag: op_create. */
static void rename_operation(struct fuse_in_header *in)
{
	struct fuse_create_in *create = (struct fuse_create_in *)(in + 1);

	if (in->opcode != FUSE_TMPFILE)
		return;
	in->opcode = FUSE_CREATE;
	create->flags |= O_TMPFILE;
}

void fs_server_handle(struct fs_server *server, struct fs_request *request)
{
	struct fuse_buf buf = { .size = request->len, .mem = request->data };
	int ret;

	request->written = 0;
	request->attribute_flags = 0;
	request->open_flags = 0;
	current = request;
	ret = fs_check_request(request->data, request->len);
	if (ret < 0 && request->len >= sizeof(struct fuse_in_header)) {
		reply_error(request, ret);
	} else if (ret == 0) {
		if (((const struct fuse_in_header *)request->data)->opcode == FUSE_INIT)
			server->fs.own_kernel = has_own_kernel(request);
		rename_operation(request->data);
		pthread_rwlock_rdlock(&server->session_lock);
		fuse_session_process_buf(server->session, &buf);
		pthread_rwlock_unlock(&server->session_lock);
	}
	current = NULL;
}

void fs_server_reset(struct fs_server *server)
{
	struct fuse_session *fresh;
	struct err err;

	pthread_rwlock_wrlock(&server->session_lock);
	fresh = session_new(&server->fs, &err);
	if (fresh) {
		fuse_session_destroy(server->session);
		server->session = fresh;
	} else {
		log_error("fs: the old session stays: %s", err.msg);
	}
	passthrough_drop_handles(&server->fs);
	inodes_clear(&server->fs.inodes);
	pthread_rwlock_unlock(&server->session_lock);
}
