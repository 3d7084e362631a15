/* SPDX-License-Identifier: Apache-2.0 */
/* Telling engines that a container ran out of memory. */
#include "runtime/oom.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"

#define LEFT_BYTES (1 << 20)	  /* what is left below the limit */
#define WANTED_BYTES (64UL << 20) /* what the child touches: more than can be reclaimed for it */

int oom_prepare(struct oom *oom, const char *bundle, const struct cgroup *cgroup, int memory_max, struct err *err)
{
	*oom = (struct oom){ .cgroup = -1, .memory_max = memory_max };
	oom->bundle = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	oom->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (oom->bundle < 0 || oom->proc < 0)
		return err_set(err, errno, "open %s", oom->bundle < 0 ? bundle : "/proc");
	if (!*cgroup->path)
		return 0;
	oom->cgroup = cgroup_open(cgroup, err);
	return oom->cgroup < 0 ? -err->code : 0;
}

/* oom(5), oom_score_adj 1000: killed before anything else in the cgroup. */
static _Noreturn void want_too_much(int proc)
{
	struct err ignored;
	char *map;

	if (io_write_file(proc, "self/oom_score_adj", "1000", &ignored) < 0)
		_exit(1);
	map = mmap(NULL, WANTED_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		_exit(1);
	for (size_t i = 0; i < WANTED_BYTES; i += 4096)
		map[i] = 1;
	_exit(1); /* there was enough after all */
}

/* -1: "max", or there is no such file. */
static int64_t read_bytes(int cgroup, const char *file)
{
	struct err ignored;
	auto_free char *text = io_read_file(cgroup, file, 64, NULL, &ignored);

	return text && *text >= '0' && *text <= '9' ? strtoll(text, NULL, 10) : -1;
}

static int set_limit(int memory_max, int64_t limit, struct err *err)
{
	char text[32] = "max";
	int n = limit < 0 ? 3 : snprintf(text, sizeof(text), "%" PRId64, limit);

	return pwrite(memory_max, text, (size_t)n, 0) == n ? 0 : err_set(err, errno, "memory.max");
}

static int cause_event(const struct oom *oom, struct err *err)
{
	int64_t current = read_bytes(oom->cgroup, "memory.current"), limit = read_bytes(oom->cgroup, "memory.max");
	int status = 0, ret;
	pid_t pid;

	if (current < 0)
		return err_msg(err, ENOTSUP, "the cgroup on the host does not count memory");
	if (set_limit(oom->memory_max, current + LEFT_BYTES, err) < 0)
		return -err->code;
	pid = fork();
	if (pid == 0)
		want_too_much(oom->proc);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	ret = set_limit(oom->memory_max, limit, err);
	if (ret == 0 && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
		return err_msg(err, EIO, "no OOM event could be made in the cgroup on the host");
	return ret;
}

int oom_tell_host(const struct oom *oom, struct err *err)
{
	auto_fd fd = openat(oom->bundle, "oom", O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_set(err, errno, "create oom in the bundle");
	return oom->cgroup >= 0 && oom->memory_max >= 0 ? cause_event(oom, err) : 0;
}
