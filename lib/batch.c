/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that moves bulk data, and that preempts nobody meanwhile (sched(7), SCHED_BATCH). */
#include "lib/batch.h"

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define PERIOD 100000000 /* ns */

static struct {
	int timer; /* in the loop; -1: not SCHED_BATCH */
	bool moved; /* since the timer's last period */
} batch = { .timer = -1 };

static void set_policy(int policy)
{
	struct sched_param none = { 0 };

	sched_setscheduler(0, policy, &none);
}

static void period_ended(void *ctx, uint32_t events)
{
	struct loop *loop = ctx;
	uint64_t periods;

	(void)events;
	if (read(batch.timer, &periods, sizeof(periods)) < 0)
		return;
	if (!batch.moved) {
		loop_remove(loop, batch.timer);
		fd_close(&batch.timer);
		set_policy(SCHED_OTHER);
	}
	batch.moved = false;
}

static int start_timer(struct loop *loop)
{
	struct itimerspec period = { .it_interval.tv_nsec = PERIOD, .it_value.tv_nsec = PERIOD };
	auto_fd timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	struct err err;

	if (timer < 0 || timerfd_settime(timer, 0, &period, NULL) < 0 ||
	    loop_add(loop, timer, EPOLLIN, period_ended, loop, &err) < 0)
		return -1;
	return fd_take(&timer);
}

void batch_end_in_child(void)
{
	if (batch.timer >= 0)
		set_policy(SCHED_OTHER);
}

void batch_piece_moved(struct loop *loop)
{
	batch.moved = true;
	if (batch.timer >= 0)
		return;
	batch.timer = start_timer(loop);
	if (batch.timer >= 0)
		set_policy(SCHED_BATCH);
}
