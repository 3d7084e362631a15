/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copying one direction of a stream.
 *
 * From a socket to a pipe, large pieces are moved as they are (splice(2)): the pages that the socket holds become the pipe's.
 * Small ones are read and written, because each would take a whole slot of the pipe, which has sixteen. From a pipe to the guest's
 * host the same: pages become packets (guest-kernel/patches/), and a small piece would send a page. A unix socket gets copies: Linux
 * before 6.1.47 could be made to use its pages after they were freed (CVE-2023-4622).
 */
#include "lib/copier.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/batch.h"

#define CHUNK (256 << 10)
#define LARGE (32 << 10) /* bytes at once from which on pages are moved */

struct copier {
	struct loop *loop; /* borrowed */
	int from, to;	   /* owned */
	void (*done)(void *ctx);
	void *ctx;
	bool finishing;
	bool writing; /* to is watched, from is not */
	bool from_is_file, to_is_file;
	bool can_move; /* a socket's pages, into a pipe; a pipe's, into a vsock */
	bool to_host;  /* into a vsock */
	bool moving;   /* the last piece was large */
	int wake; /* eventfd, owned, -1 if not needed */
	size_t start, end; /* what of buffer is still to be written */
	uint8_t buffer[CHUNK];
};

static void release(struct copier *copier)
{
	loop_remove(copier->loop, copier->from);
	loop_remove(copier->loop, copier->to);
	if (copier->wake >= 0) {
		loop_remove(copier->loop, copier->wake);
		close(copier->wake);
	}
	close(copier->from);
	/* A socket's other direction may be another copier's (a terminal): end this one visibly. */
	shutdown(copier->to, SHUT_WR);
	close(copier->to);
	free(copier);
}

static void finish(struct copier *copier)
{
	void (*done)(void *ctx) = copier->done;
	void *ctx = copier->ctx;

	release(copier);
	if (done)
		done(ctx);
}

/* What a step has led to. */
enum outcome { DONE, FROM_IS_EMPTY, TO_IS_FULL, ENDED };

static enum outcome write_out(struct copier *copier)
{
	while (copier->start < copier->end) {
		ssize_t n = write(copier->to, copier->buffer + copier->start, copier->end - copier->start);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? TO_IS_FULL : ENDED;
		copier->start += (size_t)n;
	}
	return DONE;
}

/* Reads a chunk. A terminal's end is EIO. */
static enum outcome read_in(struct copier *copier)
{
	ssize_t n;

	do {
		n = read(copier->from, copier->buffer, CHUNK);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return FROM_IS_EMPTY;
	if (n <= 0)
		return ENDED;
	copier->start = 0;
	copier->end = (size_t)n;
	copier->moving = copier->can_move && n >= LARGE;
	return DONE;
}

static bool is_readable(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	return poll(&pollfd, 1, 0) > 0;
}

/* Moves a chunk, past our buffer. */
static enum outcome move(struct copier *copier)
{
	ssize_t n;

	do {
		n = splice(copier->from, NULL, copier->to, NULL, CHUNK, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return is_readable(copier->from) ? TO_IS_FULL : FROM_IS_EMPTY;
	if (n <= 0)
		return ENDED;
	copier->moving = n >= LARGE;
	if (copier->moving && copier->to_host)
		batch_piece_moved(copier->loop);
	return DONE;
}

static enum outcome step(struct copier *copier)
{
	enum outcome outcome = write_out(copier);

	if (outcome == DONE)
		outcome = copier->moving ? move(copier) : read_in(copier);
	return outcome == FROM_IS_EMPTY && copier->finishing ? ENDED : outcome;
}

/* Goes on until one side has to wait. */
static void advance(struct copier *copier)
{
	enum outcome outcome;

	do
		outcome = step(copier);
	while (outcome == DONE);
	if (outcome == ENDED) {
		finish(copier);
		return;
	}
	copier->writing = outcome == TO_IS_FULL;
	loop_modify(copier->loop, copier->to, copier->writing ? EPOLLOUT : 0);
	loop_modify(copier->loop, copier->from, copier->writing ? 0 : EPOLLIN);
}

static void from_ready(void *ctx, uint32_t events)
{
	struct copier *copier = ctx;

	/* While writing, a hung-up source has to wait: its bytes come after those that are buffered. */
	(void)events;
	if (!copier->writing)
		advance(copier);
	else
		loop_modify(copier->loop, copier->from, EPOLLET);
}

static void to_ready(void *ctx, uint32_t events)
{
	struct copier *copier = ctx;

	if (copier->writing)
		advance(copier);
	else if (events & (EPOLLERR | EPOLLHUP))
		finish(copier);
}

/* Regular files cannot be watched (EPERM) and need not be: they are always ready. */
static int watch(struct copier *copier, int fd, uint32_t events, loop_handler *handler, bool *always_ready, struct err *err)
{
	int ret = loop_add(copier->loop, fd, events, handler, copier, err);

	*always_ready = ret == -EPERM;
	return ret == -EPERM ? 0 : ret;
}

static bool is_kind(int fd, mode_t kind)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == kind;
}

static bool is_vsock(int fd)
{
	socklen_t len = sizeof(int);
	int domain;

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_VSOCK;
}

struct copier *copier_new(struct loop *loop, int from, int to, void (*done)(void *ctx), void *ctx, struct err *err)
{
	struct copier *copier = malloc(sizeof(*copier));

	if (!copier) {
		err_set(err, ENOMEM, "copy a stream");
		close(from);
		close(to);
		return NULL;
	}
	copier->loop = loop;
	copier->from = from;
	copier->to = to;
	copier->done = done;
	copier->ctx = ctx;
	copier->finishing = copier->writing = copier->moving = false;
	copier->to_host = is_vsock(to);
	copier->can_move = (is_kind(from, S_IFSOCK) && is_kind(to, S_IFIFO)) || (is_kind(from, S_IFIFO) && copier->to_host);
	copier->wake = -1;
	copier->start = copier->end = 0;
	if (watch(copier, from, EPOLLIN, from_ready, &copier->from_is_file, err) < 0 ||
	    watch(copier, to, copier->from_is_file ? EPOLLOUT : 0, to_ready, &copier->to_is_file, err) < 0) {
		release(copier);
		return NULL;
	}
	/* A file as source: the other side's readiness drives the copy; with a file there, too, an event of our own does. */
	copier->writing = copier->from_is_file;
	if (copier->from_is_file && copier->to_is_file) {
		copier->wake = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
		if (copier->wake < 0 || loop_add(loop, copier->wake, EPOLLIN, to_ready, copier, err) < 0) {
			release(copier);
			return NULL;
		}
	}
	return copier;
}

void copier_finish(struct copier *copier)
{
	copier->finishing = true;
	if (!copier->writing)
		advance(copier);
}

void copier_cancel(struct copier *copier)
{
	release(copier);
}
