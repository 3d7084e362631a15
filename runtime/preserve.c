/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors beside the standard streams, on the host. */
#include "runtime/preserve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/ports.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "runtime/agent_client.h"

/* Why a descriptor is more than the bytes that can be read from it and written to it; NULL: it is not. */
static const char *cannot_travel(int fd)
{
	int value = 0;
	struct stat st;
	socklen_t len = sizeof(value);

	if (fstat(fd, &st) < 0)
		return "cannot be looked at";
	if (fcntl(fd, F_GETFL) & O_PATH)
		return "was opened with O_PATH";
	if (S_ISFIFO(st.st_mode) || S_ISREG(st.st_mode) || S_ISCHR(st.st_mode))
		return NULL;
	if (!S_ISSOCK(st.st_mode))
		return "is neither a file, a pipe, a character device nor a stream socket";
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &len) < 0 || value != SOCK_STREAM)
		return "is a socket of a kind other than SOCK_STREAM";
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &len) == 0 && value)
		return "is a listening socket";
	return NULL;
}

/* What we opened ourselves is close-on-exec; what we were given cannot be. */
static bool was_given(int fd)
{
	int flags = fcntl(fd, F_GETFD);

	return flags >= 0 && !(flags & FD_CLOEXEC);
}

int preserve_inspect(struct preserved_fds *preserved, long option, struct err *err)
{
	long listening = preserve_listen_fds(), n;

	/* Each by itself: their sum could overflow. */
	if (option < 0 || option > PRESERVED_MAX)
		return err_msg(err, EINVAL, "option --preserve-fds: %ld is not between 0 and %d", option, PRESERVED_MAX);
	if (listening > PRESERVED_MAX - option)
		return err_msg(err, EINVAL, "LISTEN_FDS: with --preserve-fds %ld, %ld more are not between 0 and %d", option,
			       listening, PRESERVED_MAX);
	n = option + listening;
	preserved->n = 0;
	for (int i = 0; i < n; i++) {
		int fd = PRESERVED_FIRST + i, mode;
		const char *reason;

		if (!was_given(fd))
			continue;
		reason = cannot_travel(fd);
		if (reason)
			return err_msg(err, ENOTSUP, "option --preserve-fds or LISTEN_FDS: descriptor %d %s: it cannot be passed into a VM", fd, reason);
		mode = fcntl(fd, F_GETFL) & O_ACCMODE;
		preserved->fds[i].readable = mode != O_WRONLY;
		preserved->fds[i].writable = mode != O_RDONLY;
		preserved->n = (size_t)i + 1; /* callers name more than they have */
	}
	return 0;
}

long preserve_listen_fds(void)
{
	const char *value = getenv("LISTEN_FDS");
	char *end;
	long n = value ? strtol(value, &end, 10) : 0;

	return value && *value && !*end && n > 0 ? n : 0;
}

void preserve_fill(Cella__Agent__Stdio *stdio, const struct preserved_fds *preserved, Cella__Agent__Preserved *messages,
		   Cella__Agent__Preserved **list)
{
	for (size_t i = 0; i < preserved->n; i++) {
		cella__agent__preserved__init(&messages[i]);
		messages[i].readable = preserved->fds[i].readable;
		messages[i].writable = preserved->fds[i].writable;
		list[i] = &messages[i];
	}
	stdio->preserved = list;
	stdio->n_preserved = preserved->n;
}

static void relay_done(void *ctx)
{
	struct preserve_fd *fd = ctx;

	fd->relay = NULL;
	fd->preserve->open--;
	fd->preserve->done(fd->preserve->ctx);
}

static int connect_one(struct preserve *preserve, const struct standin_job *job, size_t i, struct loop *loop, struct err *err)
{
	bool readable = job->preserved.fds[i].readable, writable = job->preserved.fds[i].writable;
	struct preserve_fd *fd = &preserve->fds[i];
	auto_fd original = PRESERVED_FIRST + (int)i, connection = -1;
	int own;

	connection = agent_dial_stream(job->vm_dir, job->token, PRESERVED_FIRST + (unsigned int)i, err);
	if (connection < 0)
		return connection;
	own = io_reopen_nonblocking(original, !writable ? O_RDONLY : !readable ? O_WRONLY : O_RDWR);
	if (own < 0)
		return err_set(err, -own, "open preserved descriptor %d again", original);
	if (io_set_nonblocking(connection) < 0) {
		close(own);
		return err_set(err, errno, "stream of preserved descriptor %d", original);
	}
	fd->preserve = preserve;
	fd->relay = relay_new(loop, own, fd_take(&connection), (readable ? RELAY_THERE : 0) | (writable ? RELAY_BACK : 0),
			      relay_done, fd, err);
	if (!fd->relay)
		return -err->code;
	preserve->open++;
	return 0;
}

int preserve_connect(struct preserve *preserve, const struct standin_job *job, struct loop *loop, void (*done)(void *ctx),
		     void *ctx, struct err *err)
{
	preserve->done = done;
	preserve->ctx = ctx;
	for (size_t i = 0; i < job->preserved.n; i++)
		if ((job->preserved.fds[i].readable || job->preserved.fds[i].writable) && connect_one(preserve, job, i, loop, err) < 0)
			return -err->code;
	return 0;
}

void preserve_finish(struct preserve *preserve)
{
	for (size_t i = 0; i < PRESERVED_MAX; i++)
		if (preserve->fds[i].relay)
			relay_drop(preserve->fds[i].relay, RELAY_THERE);
}
