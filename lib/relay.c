/* SPDX-License-Identifier: Apache-2.0 */
/* Two descriptors joined. */
#include "lib/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/copier.h"

struct relay {
	struct copier *there, *back;
	int a, b; /* owned, for passing an end on: the copiers have descriptors of their own */
	void (*done)(void *ctx);
	void *ctx;
};

static void maybe_finish(struct relay *relay)
{
	if (relay->there || relay->back)
		return;
	close(relay->a);
	close(relay->b);
	relay->done(relay->ctx);
	free(relay);
}

static void there_done(void *ctx)
{
	struct relay *relay = ctx;

	relay->there = NULL;
	shutdown(relay->b, SHUT_WR);
	maybe_finish(relay);
}

static void back_done(void *ctx)
{
	struct relay *relay = ctx;

	relay->back = NULL;
	shutdown(relay->a, SHUT_WR);
	maybe_finish(relay);
}

static struct copier *copy(struct loop *loop, int from, int to, void (*done)(void *ctx), struct relay *relay, struct err *err)
{
	auto_fd from_copy = fcntl(from, F_DUPFD_CLOEXEC, 0), to_copy = fcntl(to, F_DUPFD_CLOEXEC, 0);

	if (from_copy < 0 || to_copy < 0) {
		err_set(err, errno, "join two sockets");
		return NULL;
	}
	return copier_new(loop, fd_take(&from_copy), fd_take(&to_copy), done, relay, err);
}

struct relay *relay_new(struct loop *loop, int a, int b, enum relay_direction directions, void (*done)(void *ctx), void *ctx,
			struct err *err)
{
	auto_fd own_a = a, own_b = b;
	auto_free struct relay *relay = calloc(1, sizeof(*relay));

	if (!relay) {
		err_set(err, ENOMEM, "join two sockets");
		return NULL;
	}
	*relay = (struct relay){ .a = a, .b = b, .done = done, .ctx = ctx };
	relay->there = directions & RELAY_THERE ? copy(loop, a, b, there_done, relay, err) : NULL;
	if (directions & RELAY_THERE && !relay->there)
		return NULL;
	relay->back = directions & RELAY_BACK ? copy(loop, b, a, back_done, relay, err) : NULL;
	if (directions & RELAY_BACK && !relay->back) {
		if (relay->there)
			copier_cancel(relay->there);
		return NULL;
	}
	fd_take(&own_a);
	fd_take(&own_b);
	return ptr_take(&relay);
}

void relay_drop(struct relay *relay, enum relay_direction directions)
{
	if (directions & RELAY_THERE && relay->there)
		copier_cancel(ptr_take(&relay->there));
	if (directions & RELAY_BACK && relay->back)
		copier_cancel(ptr_take(&relay->back));
	maybe_finish(relay);
}

void relay_finish(struct relay *relay, enum relay_direction direction)
{
	struct copier *copier = direction == RELAY_THERE ? relay->there : relay->back;

	if (copier)
		copier_finish(copier);
}
