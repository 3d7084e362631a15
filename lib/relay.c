/* SPDX-License-Identifier: Apache-2.0 */
/* Two sockets joined. */
#include "lib/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/copier.h"

struct relay {
	struct copier *there, *back;
	void (*done)(void *ctx);
	void *ctx;
};

static void finish(struct relay *relay)
{
	if (relay->there)
		copier_cancel(relay->there);
	if (relay->back)
		copier_cancel(relay->back);
	relay->done(relay->ctx);
	free(relay);
}

static void there_done(void *ctx)
{
	struct relay *relay = ctx;

	relay->there = NULL;
	finish(relay);
}

static void back_done(void *ctx)
{
	struct relay *relay = ctx;

	relay->back = NULL;
	finish(relay);
}

struct relay *relay_new(struct loop *loop, int a, int b, void (*done)(void *ctx), void *ctx, struct err *err)
{
	auto_fd a2 = fcntl(a, F_DUPFD_CLOEXEC, 0), b2 = fcntl(b, F_DUPFD_CLOEXEC, 0), a1 = a, b1 = b;
	auto_free struct relay *relay = calloc(1, sizeof(*relay));

	if (!relay || a2 < 0 || b2 < 0) {
		err_set(err, relay ? errno : ENOMEM, "join two sockets");
		return NULL;
	}
	relay->done = done;
	relay->ctx = ctx;
	relay->there = copier_new(loop, fd_take(&a1), fd_take(&b1), there_done, relay, err);
	if (!relay->there)
		return NULL;
	relay->back = copier_new(loop, fd_take(&b2), fd_take(&a2), back_done, relay, err);
	if (!relay->back) {
		copier_cancel(relay->there);
		return NULL;
	}
	return ptr_take(&relay);
}
