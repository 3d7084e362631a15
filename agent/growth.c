/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that comes when it is needed. */
#include "agent/growth.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "agent/guest.h"
#include "agent/proto/agent.pb-c.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/log.h"

#define FILE_MAX_BYTES 65536
#define TICK_MS 4
#define TICKS_MAX 1250 /* 5 s: a guest that cannot take what it was given goes on with what it has */

/* What containers leave to kernel and agent: this, or a part of all. */
#define RESERVE_KIB (24 << 10)
#define RESERVE_PART 32
/* In hundredths of memory.high: what cannot be reclaimed, and what was read again soon after it was. */
#define FULL_PART 65
#define REFAULT_PART 10

struct growth {
	struct loop *loop;
	struct cgroup pod;
	struct ttrpc *conn; /* who waits; NULL: nobody */
	uint32_t stream;
	uint64_t boot_kib;   /* MemTotal then, without what is only announced */
	uint64_t left_kib;   /* announced */
	uint64_t target_kib; /* while what was given is being taken */
	uint32_t next_left_mib;
	int timer;  /* owned, in the loop while taking */
	int events; /* memory.events.local, owned, in the loop while watching; -1: not */
	unsigned int ticks;
	uint64_t high_kib, refaults;
};

/* /proc/meminfo's number without what is only announced, which counts in all three that are asked for here. */
static uint64_t meminfo_kib(const struct growth *growth, const char *name)
{
	struct err ignored;
	auto_free char *text = io_read_file(AT_FDCWD, "/proc/meminfo", FILE_MAX_BYTES, NULL, &ignored);
	const char *line = text ? strstr(text, name) : NULL;
	uint64_t kib = line ? strtoull(line + strlen(name), NULL, 10) : 0;

	return kib > growth->left_kib ? kib - growth->left_kib : 0;
}

/* The kernel's parameter is named after its source file, which was renamed. */
static int announce(struct growth *growth, uint32_t left_mib, struct err *err)
{
	static const char *const files[] = { "/sys/module/page_alloc/parameters/memory_growth",
					     "/sys/module/show_mem/parameters/memory_growth" };
	char pages[32];

	snprintf(pages, sizeof(pages), "%" PRIu64, (uint64_t)left_mib << (20 - 12));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (access(files[i], F_OK) == 0) {
			if (io_write_file(AT_FDCWD, files[i], pages, err) < 0)
				return -err->code;
			growth->left_kib = (uint64_t)left_mib << 10;
			return 0;
		}
	/* A kernel of the administrator's own: programs see what there is. */
	return 0;
}

/*
 * How much memory sockets may have in all: the kernel's parts (tcp_init_mem, udp_init) of what there can be, not of what it found
 * at boot. Containers' limits hold besides. What is written is pages: pressure begins, is due, and the most.
 */
static int size_sockets(const char *file, uint64_t most_kib, struct err *err)
{
	uint64_t pages = most_kib / 4;
	char text[96];

	snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu64 " %" PRIu64, pages / 4 * 3, pages, pages / 4 * 6);
	return io_write_file(AT_FDCWD, file, text, err);
}

int growth_announce(struct growth *growth, uint32_t left_mib, struct err *err)
{
	uint64_t most_kib = growth->boot_kib + ((uint64_t)left_mib << 10);
	int ret = announce(growth, left_mib, err);

	if (ret == 0 && left_mib > 0)
		ret = size_sockets("/proc/sys/net/ipv4/tcp_mem", most_kib / 16, err);
	if (ret == 0 && left_mib > 0)
		ret = size_sockets("/proc/sys/net/ipv4/udp_mem", most_kib / 8, err);
	return ret;
}

static int set_high(struct growth *growth, uint64_t kib, struct err *err)
{
	char text[32] = "max";

	growth->high_kib = kib;
	if (kib)
		snprintf(text, sizeof(text), "%" PRIu64, kib << 10);
	return cgroup_write(&growth->pod, "memory.high", text, err);
}

static uint64_t counter(const struct growth *growth, const char *name)
{
	int64_t value = cgroup_counter(&growth->pod, "memory.stat", name);

	return value > 0 ? (uint64_t)value : 0;
}

/* Cache alone is no need, unless it is read again and again. */
static bool needs_more(const struct growth *growth)
{
	uint64_t fixed = counter(growth, "anon") + counter(growth, "shmem") + counter(growth, "kernel");
	uint64_t reclaimable = counter(growth, "slab_reclaimable");
	uint64_t refaults = counter(growth, "workingset_refault_file") - growth->refaults;

	fixed -= reclaimable < fixed ? reclaimable : fixed;
	return fixed >> 10 >= growth->high_kib * FULL_PART / 100 || refaults * 4 >= growth->high_kib * REFAULT_PART / 100;
}

static void stop_watching(struct growth *growth)
{
	if (growth->events < 0)
		return;
	loop_remove(growth->loop, growth->events);
	close(growth->events);
	growth->events = -1;
}

static void answer(struct growth *growth)
{
	Cella__Agent__Empty empty = CELLA__AGENT__EMPTY__INIT;

	stop_watching(growth);
	if (growth->conn)
		ttrpc_reply(growth->conn, growth->stream, &empty.base);
	growth->conn = NULL;
}

static void events_ready(void *ctx, uint32_t events)
{
	struct growth *growth = ctx;
	char text[512];

	(void)events;
	/* kernfs: reading is what makes the descriptor quiet again. */
	if (pread(growth->events, text, sizeof(text), 0) < 0)
		log_warn_limited("memory.events.local: %s", strerror(errno));
	if (needs_more(growth))
		answer(growth);
}

static int watch(struct growth *growth, struct err *err)
{
	uint64_t total = meminfo_kib(growth, "MemTotal:"), free_kib = meminfo_kib(growth, "MemFree:");
	uint64_t used = (uint64_t)cgroup_number(&growth->pod, "memory.current") >> 10;
	uint64_t reserve = total / RESERVE_PART > RESERVE_KIB ? total / RESERVE_PART : RESERVE_KIB;
	auto_fd directory = cgroup_open(&growth->pod, err);
	char text[512];

	if (directory < 0)
		return directory;
	growth->events = openat(directory, "memory.events.local", O_RDONLY | O_CLOEXEC);
	if (growth->events < 0 || pread(growth->events, text, sizeof(text), 0) < 0)
		return err_set(err, errno, "memory.events.local");
	growth->refaults = counter(growth, "workingset_refault_file");
	if (loop_add(growth->loop, growth->events, EPOLLPRI, events_ready, growth, err) < 0)
		return -err->code;
	return set_high(growth, used + (free_kib > reserve ? free_kib - reserve : 0), err);
}

/* What was given has come, or will not. */
static void taken(struct growth *growth)
{
	struct err err;

	loop_remove(growth->loop, growth->timer);
	if (announce(growth, growth->next_left_mib, &err) < 0 || watch(growth, &err) < 0) {
		log_warn("%s", err.msg);
		stop_watching(growth);
		/* Who cannot be watched must not be held back either. */
		if (set_high(growth, 0, &err) < 0)
			log_warn("%s", err.msg);
	} else if (needs_more(growth)) {
		answer(growth);
	}
}

static void timer_ticks(void *ctx, uint32_t events)
{
	struct growth *growth = ctx;
	uint64_t count, total = meminfo_kib(growth, "MemTotal:");

	(void)events;
	if (read(growth->timer, &count, sizeof(count)) != sizeof(count))
		return;
	if (total < growth->target_kib && ++growth->ticks < TICKS_MAX)
		return;
	if (total < growth->target_kib)
		log_warn("only %" PRIu64 " of %" PRIu64 " MiB of memory have come", total >> 10, growth->target_kib >> 10);
	taken(growth);
}

static int start_taking(struct growth *growth, struct err *err)
{
	struct itimerspec every = { .it_interval.tv_nsec = TICK_MS * 1000000, .it_value.tv_nsec = 1 };

	growth->ticks = 0;
	if (timerfd_settime(growth->timer, 0, &every, NULL) < 0)
		return err_set(err, errno, "set a timer");
	if (loop_add(growth->loop, growth->timer, EPOLLIN, timer_ticks, growth, err) < 0)
		return -err->code;
	return meminfo_kib(growth, "MemTotal:") < growth->target_kib ? guest_find_devices(err) : 0;
}

int growth_wait(struct growth *growth, uint32_t more_mib, uint32_t left_mib, struct ttrpc *conn, uint32_t stream,
		struct err *err)
{
	int ret;

	if (growth->conn)
		return err_msg(err, EBUSY, "memory is waited for already");
	growth->target_kib = growth->boot_kib + ((uint64_t)more_mib << 10);
	growth->next_left_mib = left_mib;
	if (left_mib) {
		ret = start_taking(growth, err);
	} else {
		/* All there will be: from here on it is as in any machine. */
		ret = set_high(growth, 0, err);
		if (ret == 0)
			ret = announce(growth, 0, err);
		if (ret == 0 && meminfo_kib(growth, "MemTotal:") < growth->target_kib)
			ret = guest_find_devices(err);
	}
	if (ret < 0)
		return ret;
	growth->conn = conn;
	growth->stream = stream;
	return 0;
}

void growth_limits_changed(struct growth *growth)
{
	/* While memory is being taken the next need finds the new limits. */
	if (growth->events >= 0 || growth->next_left_mib == 0)
		answer(growth);
}

void growth_connection_ended(struct growth *growth, struct ttrpc *conn)
{
	if (growth->conn != conn)
		return;
	growth->conn = NULL;
	stop_watching(growth);
	loop_remove(growth->loop, growth->timer);
}

struct growth *growth_new(struct loop *loop, struct err *err)
{
	struct growth *growth = calloc(1, sizeof(*growth));

	if (!growth) {
		err_set(err, ENOMEM, "memory growth");
		return NULL;
	}
	growth->loop = loop;
	growth->events = -1;
	strcpy(growth->pod.path, GROWTH_CGROUP);
	growth->boot_kib = meminfo_kib(growth, "MemTotal:");
	growth->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (growth->timer < 0) {
		err_set(err, errno, "create a timer");
		free(growth);
		return NULL;
	}
	return growth;
}
