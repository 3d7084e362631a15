/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors beside the standard streams. */
#include "agent/preserved.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/ports.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/log.h"

/* The kind that the access mode wants: a pipe, or for both directions a socket. */
static int make_ends(struct preserved_fd *fd, struct err *err)
{
	bool child_writes = fd->directions == RELAY_THERE;
	int ends[2];

	if (!fd->directions)
		return 0;
	if (fd->directions == RELAY_BOTH ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) : pipe2(ends, O_CLOEXEC))
		return err_set(err, errno, "a preserved descriptor");
	fd->child = ends[child_writes ? 1 : 0];
	fd->ours = ends[child_writes ? 0 : 1];
	return io_set_nonblocking(fd->ours) < 0 ? err_set(err, errno, "a preserved descriptor") : 0;
}

int preserved_create(struct preserved *preserved, struct loop *loop, const Cella__Agent__Stdio *stdio, struct err *err)
{
	size_t n = stdio ? stdio->n_preserved : 0;

	*preserved = (struct preserved){ .loop = loop };
	if (n == 0)
		return 0;
	if (n > PRESERVED_MAX)
		return err_msg(err, EINVAL, "%zu preserved descriptors are more than %d", n, PRESERVED_MAX);
	preserved->fds = calloc(n, sizeof(*preserved->fds));
	if (!preserved->fds)
		return err_set(err, ENOMEM, "preserved descriptors");
	for (; preserved->n < n; preserved->n++)
		preserved->fds[preserved->n] = (struct preserved_fd){
			.directions = (stdio->preserved[preserved->n]->writable ? RELAY_THERE : 0) |
				      (stdio->preserved[preserved->n]->readable ? RELAY_BACK : 0),
			.child = -1,
			.ours = -1,
		};
	for (size_t i = 0; i < n; i++)
		if (make_ends(&preserved->fds[i], err) < 0)
			return -err->code;
	return 0;
}

void preserved_close_child_ends(struct preserved *preserved)
{
	for (size_t i = 0; i < preserved->n; i++)
		fd_close(&preserved->fds[i].child);
}

int preserved_place(const struct preserved *preserved, struct err *err)
{
	int above = PRESERVED_FIRST + (int)preserved->n, high[PRESERVED_MAX];

	/* First out of each other's way. */
	for (size_t i = 0; i < preserved->n; i++) {
		high[i] = preserved->fds[i].directions ? fcntl(preserved->fds[i].child, F_DUPFD_CLOEXEC, above) : -1;
		if (preserved->fds[i].directions && high[i] < 0)
			return err_set(err, errno, "preserved descriptor %zu", PRESERVED_FIRST + i);
	}
	for (size_t i = 0; i < preserved->n; i++)
		if (high[i] < 0)
			close(PRESERVED_FIRST + (int)i);
		else if (dup2(high[i], PRESERVED_FIRST + (int)i) < 0)
			return err_set(err, errno, "preserved descriptor %zu", PRESERVED_FIRST + i);
	return 0;
}

static void relay_done(void *ctx)
{
	((struct preserved_fd *)ctx)->relay = NULL;
}

void preserved_attach(struct preserved *preserved, size_t index, int fd)
{
	struct preserved_fd *at = index < preserved->n ? &preserved->fds[index] : NULL;
	struct err err;

	if (!at || at->ours < 0) {
		close(fd);
		return;
	}
	at->relay = relay_new(preserved->loop, fd_take(&at->ours), fd, at->directions, relay_done, at, &err);
	if (!at->relay)
		log_warn("preserved descriptor %zu: %s", PRESERVED_FIRST + index, err.msg);
}

void preserved_finish(struct preserved *preserved)
{
	for (size_t i = 0; i < preserved->n; i++) {
		struct preserved_fd *fd = &preserved->fds[i];

		if (fd->relay)
			relay_drop(fd->relay, RELAY_BACK);
		if (fd->relay)
			relay_finish(fd->relay, RELAY_THERE);
		if (fd->directions == RELAY_BACK)
			fd_close(&fd->ours);
	}
}

void preserved_free(struct preserved *preserved)
{
	for (size_t i = 0; i < preserved->n; i++) {
		if (preserved->fds[i].relay)
			relay_drop(preserved->fds[i].relay, RELAY_BOTH);
		fd_close(&preserved->fds[i].ours);
		fd_close(&preserved->fds[i].child);
	}
	free(preserved->fds);
	preserved->fds = NULL;
	preserved->n = 0;
}
