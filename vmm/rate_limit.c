/* SPDX-License-Identifier: Apache-2.0 */
/* A token bucket. */
#include "vmm/rate_limit.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000LL
#define SHARE_AT_ONCE 10 /* of a second */

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

int rate_limit_init(struct rate_limit *limit, uint64_t bytes_per_second, struct loop *loop, loop_handler *ready, void *ctx,
		    struct err *err)
{
	*limit = (struct rate_limit){ .bytes_per_second = bytes_per_second, .loop = loop, .timer = -1 };
	if (!bytes_per_second)
		return 0;
	limit->tokens = (int64_t)(bytes_per_second / SHARE_AT_ONCE);
	limit->filled_ns = now_ns();
	limit->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (limit->timer < 0)
		return err_set(err, errno, "rate limit");
	return loop_add(loop, limit->timer, EPOLLIN, ready, ctx, err);
}

static void fill(struct rate_limit *limit)
{
	int64_t now = now_ns(), passed = now - limit->filled_ns, most = (int64_t)(limit->bytes_per_second / SHARE_AT_ONCE);
	unsigned __int128 bytes = (unsigned __int128)passed * limit->bytes_per_second / NS_PER_S;

	if (bytes >= (unsigned __int128)(most - limit->tokens)) {
		limit->tokens = most;
		limit->filled_ns = now;
	} else {
		/* Only the time that made whole bytes is used up. */
		limit->tokens += (int64_t)bytes;
		limit->filled_ns += (int64_t)(bytes * NS_PER_S / limit->bytes_per_second);
	}
}

bool rate_limit_open(struct rate_limit *limit)
{
	struct itimerspec later = { 0 };
	int64_t wait_ns;

	if (!limit->bytes_per_second)
		return true;
	fill(limit);
	if (limit->tokens > 0)
		return true;
	wait_ns = (int64_t)((unsigned __int128)(1 - limit->tokens) * NS_PER_S / limit->bytes_per_second) + 1;
	later.it_value.tv_sec = wait_ns / NS_PER_S;
	later.it_value.tv_nsec = wait_ns % NS_PER_S;
	/* It cannot fail with a timer and times that are right (timerfd_create(2), ERRORS). */
	(void)timerfd_settime(limit->timer, 0, &later, NULL);
	return false;
}

void rate_limit_spend(struct rate_limit *limit, size_t bytes)
{
	if (limit->bytes_per_second)
		limit->tokens -= (int64_t)bytes;
}

void rate_limit_wake(struct rate_limit *limit)
{
	uint64_t expirations;

	(void)!read(limit->timer, &expirations, sizeof(expirations));
}

void rate_limit_done(struct rate_limit *limit)
{
	if (limit->timer < 0)
		return;
	loop_remove(limit->loop, limit->timer);
	close(limit->timer);
	limit->timer = -1;
}
