/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/first_line.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct first_line {
	struct loop *loop;
	int fd; /* owned */
	void (*done)(void *ctx, int fd, char *line);
	void *ctx;
	size_t used, max;
	char line[]; /* and a NUL */
};

static void readable(void *ctx, uint32_t events)
{
	struct first_line *first = ctx;
	bool whole = false;

	(void)events;
	/* Byte by byte: what follows the newline is the stream's. */
	while (!whole && first->used < first->max) {
		ssize_t n = recv(first->fd, first->line + first->used, 1, MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			break;
		whole = first->line[first->used++] == '\n';
	}
	loop_remove(first->loop, first->fd);
	first->done(first->ctx, first->fd, whole ? first->line : NULL);
	free(first);
}

int first_line_read(struct loop *loop, int fd, size_t max, void (*done)(void *ctx, int fd, char *line), void *ctx, struct err *err)
{
	struct first_line *first = calloc(1, sizeof(*first) + max + 1);

	if (!first) {
		close(fd);
		return err_set(err, ENOMEM, "a connection's first line");
	}
	first->loop = loop;
	first->fd = fd;
	first->done = done;
	first->ctx = ctx;
	first->max = max;
	if (loop_add(loop, fd, EPOLLIN, readable, first, err) < 0) {
		close(fd);
		free(first);
		return -err->code;
	}
	return 0;
}
