/* SPDX-License-Identifier: Apache-2.0 */
/* Copying one direction of a stream. */
#include "lib/copier.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK (256 << 10)

struct copier {
	struct loop *loop; /* borrowed */
	int from, to;	   /* owned */
	void (*done)(void *ctx);
	void *ctx;
	bool finishing;
	bool writing; /* to is watched, from is not */
	bool from_is_file, to_is_file;
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

/* Writes what is buffered. Returns 1 when all is written, 0 when `to` is full, -1 when it is gone. */
static int write_out(struct copier *copier)
{
	while (copier->start < copier->end) {
		ssize_t n = write(copier->to, copier->buffer + copier->start, copier->end - copier->start);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -1;
		copier->start += (size_t)n;
	}
	return 1;
}

/* Reads a chunk. Returns 1, 0 when nothing is there, -1 at the end (a terminal's is EIO). */
static int read_in(struct copier *copier)
{
	ssize_t n;

	do {
		n = read(copier->from, copier->buffer, CHUNK);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return copier->finishing ? -1 : 0;
	if (n <= 0)
		return -1;
	copier->start = 0;
	copier->end = (size_t)n;
	return 1;
}

/* Goes on until one side has to wait. */
static void advance(struct copier *copier)
{
	for (;;) {
		int ret = write_out(copier);

		if (ret > 0)
			ret = read_in(copier) < 0 ? -1 : copier->start < copier->end ? 2 : 1;
		if (ret < 0) {
			finish(copier);
			return;
		}
		if (ret == 2)
			continue;
		copier->writing = ret == 0;
		loop_modify(copier->loop, copier->to, copier->writing ? EPOLLOUT : 0);
		loop_modify(copier->loop, copier->from, copier->writing ? 0 : EPOLLIN);
		return;
	}
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
	copier->finishing = copier->writing = false;
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
