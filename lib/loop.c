/* SPDX-License-Identifier: Apache-2.0 */
/* The epoll loop: a table of sources by descriptor, a batch of events, deferred frees. */
#include "lib/loop.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lib/io.h"

#define BATCH 32

struct source {
	int fd;
	uint32_t events;
	loop_handler *handler; /* NULL once removed: freed at the end of the outermost batch */
	void *ctx;
	struct source *next;
};

struct loop {
	int epoll;
	volatile bool stopped;
	struct source *sources; /* owned */
	struct source *removed; /* owned, unreachable for new events, maybe named in a batch that is under way */
	unsigned int batches;	/* under way: a handler may wait in the loop itself (ttrpc_call_wait) */
};

struct loop *loop_new(struct err *err)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (!loop) {
		err_set(err, ENOMEM, "create an event loop");
		return NULL;
	}
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll < 0) {
		err_set(err, errno, "epoll_create1");
		free(loop);
		return NULL;
	}
	return loop;
}

static void free_list(struct source **list)
{
	while (*list) {
		struct source *source = *list;

		*list = source->next;
		free(source);
	}
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	free_list(&loop->sources);
	free_list(&loop->removed);
	close(loop->epoll);
	free(loop);
}

static struct source *find(struct loop *loop, int fd)
{
	struct source *source = loop->sources;

	while (source && source->fd != fd)
		source = source->next;
	return source;
}

int loop_add(struct loop *loop, int fd, uint32_t events, loop_handler *handler, void *ctx, struct err *err)
{
	struct source *source = calloc(1, sizeof(*source));
	struct epoll_event event = { .events = events };

	if (!source)
		return err_set(err, ENOMEM, "watch fd %d", fd);
	source->fd = fd;
	source->events = events;
	source->handler = handler;
	source->ctx = ctx;
	event.data.ptr = source;
	if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
		int saved = errno;

		free(source);
		return err_set(err, saved, "watch fd %d", fd);
	}
	source->next = loop->sources;
	loop->sources = source;
	return 0;
}

void loop_modify(struct loop *loop, int fd, uint32_t events)
{
	struct source *source = find(loop, fd);
	struct epoll_event event = { .events = events, .data.ptr = source };

	/* Of events that are level-triggered, the same again changes nothing; edges it makes come again (epoll(7)). */
	if (!source || (source->events == events && !(events & EPOLLET)))
		return;
	source->events = events;
	/* Cannot fail for a descriptor that is registered and open, which is the caller's promise. */
	epoll_ctl(loop->epoll, EPOLL_CTL_MOD, fd, &event);
}

void loop_remove(struct loop *loop, int fd)
{
	struct source **at = &loop->sources;

	while (*at && (*at)->fd != fd)
		at = &(*at)->next;
	if (*at) {
		struct source *source = *at;

		*at = source->next;
		epoll_ctl(loop->epoll, EPOLL_CTL_DEL, fd, NULL);
		source->handler = NULL;
		source->next = loop->removed;
		loop->removed = source;
	}
}

int loop_step(struct loop *loop, int timeout_ms)
{
	struct epoll_event events[BATCH];
	int n = epoll_wait(loop->epoll, events, BATCH, timeout_ms);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	loop->batches++;
	for (int i = 0; i < n; i++) {
		struct source *source = events[i].data.ptr;

		if (source->handler)
			source->handler(source->ctx, events[i].events);
	}
	if (--loop->batches == 0)
		free_list(&loop->removed);
	return n;
}

int loop_run(struct loop *loop, int timeout_ms)
{
	int64_t deadline = timeout_ms < 0 ? 0 : io_now_ms() + timeout_ms;

	while (!loop->stopped) {
		int64_t left = timeout_ms < 0 ? -1 : deadline - io_now_ms();
		int n;

		if (timeout_ms >= 0 && left <= 0)
			return -ETIMEDOUT;
		n = loop_step(loop, (int)left);
		if (n < 0)
			return n;
	}
	loop->stopped = false;
	return 0;
}

void loop_stop(struct loop *loop)
{
	loop->stopped = true;
}
