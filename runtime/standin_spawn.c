/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a stand-in: namespaces, streams, the program executed again. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/json.h"
#include "runtime/standin.h"


static const struct {
	const char *type;
	int flag;
} namespaces[] = {
	{ "pid", CLONE_NEWPID },   { "network", CLONE_NEWNET }, { "ipc", CLONE_NEWIPC },
	{ "uts", CLONE_NEWUTS },   { "mount", CLONE_NEWNS },	{ "cgroup", CLONE_NEWCGROUP },
};

struct launch {
	const struct standin_job *job;
	const int *stdio;
	char **argv;
	const json_t *config;
	const struct cgroup *cgroup;
	int job_fd;
	int answer; /* the helper's: pid or error */
};

struct launch_answer {
	pid_t pid;
	struct err err;
};

static _Noreturn void answer(const struct launch *launch, pid_t pid, const struct err *err)
{
	struct launch_answer message = { .pid = pid };

	if (err)
		message.err = *err;
	if (write(launch->answer, &message, sizeof(message)) != sizeof(message))
		_exit(1);
	_exit(err ? 1 : 0);
}

/* Namespaces with a path are entered, the others become flags for clone. */
static int enter_namespaces(const json_t *config, int *ret_flags, struct err *err)
{
	const json_t *list = json_object_get(json_object_get(config, "linux"), "namespaces"), *entry;
	size_t i, k;

	*ret_flags = 0;
	json_array_foreach(list, i, entry) {
		const char *type = json_get_string(entry, "type", ""), *path = json_get_string(entry, "path", "");
		auto_fd fd = -1;

		for (k = 0; k < ARRAY_SIZE(namespaces) && strcmp(namespaces[k].type, type); k++)
			;
		if (k == ARRAY_SIZE(namespaces))
			continue; /* user and time are the guest's */
		if (!*path) {
			*ret_flags |= namespaces[k].flag;
			continue;
		}
		fd = open(path, O_RDONLY | O_CLOEXEC);
		/* setns checks that the path is of this type. */
		if (fd < 0 || setns(fd, namespaces[k].flag) < 0)
			return err_set(err, errno, "linux.namespaces[%zu]: join %s namespace %s", i, type, path);
	}
	return 0;
}

static _Noreturn void become_standin(const struct launch *launch)
{
	const int keep[] = { launch->job->report, launch->job->owner, launch->job->ready, launch->job->vmm_pidfd,
			     launch->job->memory_max, launch->job_fd };
	char variable[32];
	sigset_t none;

	for (int i = 0; i < 3; i++)
		if (dup2(launch->stdio[i], i) < 0)
			_exit(1);
	/* Descriptors of whoever called us (shells, docker) go no further. */
	syscall(SYS_close_range, 3, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);
	for (size_t i = 0; i < ARRAY_SIZE(keep); i++)
		if (keep[i] >= 0 && fcntl(keep[i], F_SETFD, 0) < 0)
			_exit(1);
	for (size_t i = 0; i < launch->job->nsockets; i++)
		if (fcntl(launch->job->sockets[i].fd, F_SETFD, 0) < 0)
			_exit(1);
	for (size_t i = 0; i < launch->job->preserved.n; i++)
		if ((launch->job->preserved.fds[i].readable || launch->job->preserved.fds[i].writable) &&
		    fcntl(PRESERVED_FIRST + (int)i, F_SETFD, 0) < 0)
			_exit(1);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	snprintf(variable, sizeof(variable), "_CELLA_STANDIN=%d", launch->job_fd);
	execve("/proc/self/exe", launch->argv, (char *[]){ variable, NULL });
	_exit(1);
}

/*
 * The helper enters the namespaces and creates the stand-in as our child, not its own (CLONE_PARENT): so it is ours
 * when it becomes pid 1 of a new pid namespace, and the caller's once we exit.
 */
static _Noreturn void helper(const struct launch *launch)
{
	struct err err;
	int flags = 0;
	pid_t pid;

	/* Before a cgroup namespace is made: this is its root. */
	if (launch->cgroup && cgroup_add_process(launch->cgroup, getpid(), &err) < 0)
		answer(launch, 0, &err);
	if (launch->config && enter_namespaces(launch->config, &flags, &err) < 0)
		answer(launch, 0, &err);
	pid = (pid_t)syscall(SYS_clone, (unsigned long)(flags | CLONE_PARENT | SIGCHLD), NULL, NULL, NULL, 0);
	if (pid == 0)
		become_standin(launch);
	if (pid < 0) {
		err_set(&err, errno, "create the stand-in's namespaces");
		answer(launch, 0, &err);
	}
	answer(launch, pid, NULL);
}

static int write_job(const struct standin_job *job, const void *request, struct err *err)
{
	auto_fd fd = memfd_create("standin", MFD_CLOEXEC);

	if (fd < 0 || io_write_all(fd, job, sizeof(*job)) < 0 || io_write_all(fd, request, job->request_len) < 0 ||
	    lseek(fd, 0, SEEK_SET) < 0)
		return err_set(err, errno, "hand the stand-in its job");
	return fd_take(&fd);
}

pid_t standin_spawn(const struct standin_job *job, const void *request, const int stdio[3], char **argv,
		    const json_t *config, const struct cgroup *cgroup, struct err *err)
{
	struct launch launch = { .job = job, .stdio = stdio, .argv = argv, .config = config, .cgroup = cgroup };
	struct launch_answer message;
	auto_fd job_fd = write_job(job, request, err), read_end = -1, write_end = -1;
	int ends[2];
	pid_t pid;

	if (job_fd < 0)
		return -err->code;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set(err, errno, "create a pipe");
	read_end = ends[0];
	write_end = ends[1];
	launch.job_fd = job_fd;
	launch.answer = write_end;
	pid = fork();
	if (pid == 0)
		helper(&launch);
	if (pid < 0)
		return err_set(err, errno, "fork");
	close(fd_take(&write_end));
	if (io_read_all(read_end, &message, sizeof(message)) < 0)
		err_msg(&message.err, EIO, "the stand-in's helper died");
	/* waitpid for the helper only: the stand-in is our child, too. */
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (message.err.code) {
		*err = message.err;
		return -err->code;
	}
	return message.pid;
}

int standin_wait_ready(int report, struct err *err)
{
	if (io_read_all(report, err, sizeof(*err)) < 0)
		return err_msg(err, EIO, "the stand-in died before the container was ready");
	err->msg[sizeof(err->msg) - 1] = '\0';
	return -err->code;
}

int standin_commit(int report, struct err *err)
{
	int ret = io_write_all(report, "", 1);

	return ret < 0 ? err_set(err, -ret, "the stand-in is gone") : 0;
}
