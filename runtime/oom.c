/* SPDX-License-Identifier: Apache-2.0 */
/* Telling engines that a container ran out of memory. */
#include "runtime/oom.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"

#define LEFT_BYTES (1 << 20)	  /* what is left below the limit */
#define WANTED_BYTES (64UL << 20) /* what the child touches: more than can be reclaimed for it */

static int make_file(const char *bundle, struct err *err)
{
	char path[PATH_MAX + 8];

	snprintf(path, sizeof(path), "%s/oom", bundle);
	{
		auto_fd fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

		return fd < 0 ? err_set(err, errno, "create %s", path) : 0;
	}
}

/* oom(5), oom_score_adj 1000: killed before anything else in the cgroup. */
static _Noreturn void want_too_much(void)
{
	struct err ignored;
	char *map;

	if (io_write_file(AT_FDCWD, "/proc/self/oom_score_adj", "1000", &ignored) < 0)
		_exit(1);
	map = mmap(NULL, WANTED_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		_exit(1);
	for (size_t i = 0; i < WANTED_BYTES; i += 4096)
		map[i] = 1;
	_exit(1); /* there was enough after all */
}

static int set_limit(int memory_max, int64_t limit, struct err *err)
{
	char text[32] = "max";
	int n = limit < 0 ? 3 : snprintf(text, sizeof(text), "%" PRId64, limit);

	return pwrite(memory_max, text, (size_t)n, 0) == n ? 0 : err_set(err, errno, "memory.max");
}

static int cause_event(const struct cgroup *cgroup, int memory_max, struct err *err)
{
	int64_t current = cgroup_number(cgroup, "memory.current"), limit = cgroup_number(cgroup, "memory.max");
	int status = 0, ret;
	pid_t pid;

	if (current < 0)
		return err_msg(err, ENOTSUP, "cgroup %s does not count memory", cgroup->path);
	if (set_limit(memory_max, current + LEFT_BYTES, err) < 0)
		return -err->code;
	pid = fork();
	if (pid == 0)
		want_too_much();
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	ret = set_limit(memory_max, limit, err);
	if (ret == 0 && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
		return err_msg(err, EIO, "no OOM event could be made in cgroup %s", cgroup->path);
	return ret;
}

int oom_tell_host(const char *bundle, const struct cgroup *cgroup, int memory_max, struct err *err)
{
	int ret = make_file(bundle, err);

	return ret == 0 && memory_max >= 0 ? cause_event(cgroup, memory_max, err) : ret;
}
