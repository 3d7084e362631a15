/* SPDX-License-Identifier: Apache-2.0 */
/* Into the pod's cgroup namespace and back. */
#include "agent/cgroup_namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/log.h"

static int of_pod = -1, of_guest = -1;

static int open_current(void)
{
	return open("/proc/self/ns/cgroup", O_RDONLY | O_CLOEXEC);
}

/* Of the child below: the exit status is the descriptor's number in the table that it shares with the agent, or 0. */
static _Noreturn void open_new_one(void)
{
	int fd = unshare(CLONE_NEWCGROUP) < 0 ? -1 : open_current();

	_exit(fd > 0 && fd <= 255 ? fd : 0);
}

/*
 * A namespace's root is where the process is that makes it (cgroup_namespaces(7)). The agent is not to move, since that
 * waits for a grace period of the kernel: a child is born there.
 */
int cgroup_namespace_new(int pod_cgroup, struct err *err)
{
	struct clone_args args = { .flags = CLONE_INTO_CGROUP | CLONE_FILES, .cgroup = (uint64_t)pod_cgroup };
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	int status;

	if (pid == 0)
		open_new_one();
	if (pid < 0)
		return err_set(err, errno, "create a process in the pod's cgroup");
	if (waitpid(pid, &status, __WALL) < 0)
		return err_set(err, errno, "wait for the pod's cgroup namespace");
	if (!WIFEXITED(status) || WEXITSTATUS(status) == 0)
		return err_msg(err, ENOSYS, "no cgroup namespace could be made");
	of_pod = WEXITSTATUS(status);
	of_guest = open_current();
	return of_guest < 0 ? err_set(err, errno, "open the cgroup namespace") : 0;
}

int cgroup_namespace_enter(struct err *err)
{
	return setns(of_pod, CLONE_NEWCGROUP) < 0 ? err_set(err, errno, "enter the pod's cgroup namespace") : 0;
}

/* With another root than the hierarchy's the agent could not manage the pod's cgroup: without the agent the VM ends. */
void cgroup_namespace_leave(void)
{
	if (setns(of_guest, CLONE_NEWCGROUP) < 0) {
		log_error("back to the guest's cgroup namespace: %s", strerror(errno));
		exit(1);
	}
}
