/* SPDX-License-Identifier: Apache-2.0 */
/* Processes of containers. */
#include "agent/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/container.h"
#include "agent/ports.h"
#include "lib/cleanup.h"
#include "lib/fdpass.h"
#include "lib/io.h"
#include "lib/json.h"
#include "lib/log.h"

#define PIPE_BYTES (256 << 10)

static void fail_call(struct pending_call *call, const struct err *err)
{
	if (call->conn)
		ttrpc_reply_error(call->conn, call->stream, ttrpc_code_from_errno(err->code), err->msg);
	call->conn = NULL;
}

static void answer_pid(struct process *process)
{
	Cella__Agent__PidResponse response = CELLA__AGENT__PID_RESPONSE__INIT;

	response.pid = process->pid;
	if (process->creating.conn)
		ttrpc_reply(process->creating.conn, process->creating.stream, &response.base);
	process->creating.conn = NULL;
}

static void answer_wait(struct process *process, struct ttrpc *conn, uint32_t stream)
{
	Cella__Agent__WaitProcessResponse response = CELLA__AGENT__WAIT_PROCESS_RESPONSE__INIT;

	response.exit_status = process->exit_status;
	response.oom_killed = cgroup_counter(container_cgroup(process->container), "memory.events", "oom_kill") > 0;
	ttrpc_reply(conn, stream, &response.base);
}

static void answer_empty(struct pending_call *call)
{
	Cella__Agent__Empty empty = CELLA__AGENT__EMPTY__INIT;

	if (call->conn)
		ttrpc_reply(call->conn, call->stream, &empty.base);
	call->conn = NULL;
}

static void stop_reporting(struct process *process)
{
	if (process->report < 0)
		return;
	loop_remove(process->loop, process->report);
	fd_close(&process->report);
}

static void let_exec(struct process *process)
{
	if (process->start >= 0 && write(process->start, "", 1) != 1)
		log_warn("process %d does not take its start", (int)process->pid);
	fd_close(&process->start);
}

static void handle_report(struct process *process, struct spawn_report *message, int fd)
{
	switch (message->event) {
	case SPAWN_PID:
		process->pid = message->pid;
		process->helper = 0;
		break;
	case SPAWN_TERMINAL:
		fd_close(&process->terminal);
		process->terminal = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		break;
	case SPAWN_CREATED:
		process->state = PROCESS_CREATED;
		if (*process->exec_id)
			let_exec(process);
		else
			answer_pid(process);
		break;
	case SPAWN_FAILED:
		message->err.msg[sizeof(message->err.msg) - 1] = '\0';
		fail_call(&process->creating, &message->err);
		fail_call(&process->starting, &message->err);
		break;
	}
}

/* The end of the report socket: exec closed it (success), or the child died after it had said why. */
static void report_ended(struct process *process)
{
	stop_reporting(process);
	if (process->state == PROCESS_CREATED && process->start < 0) {
		process->state = PROCESS_RUNNING;
		answer_empty(&process->starting);
		if (*process->exec_id)
			answer_pid(process);
	} else {
		struct err err;

		err_msg(&err, EIO, "the process died while it was set up");
		fail_call(&process->creating, &err);
		fail_call(&process->starting, &err);
	}
}

static void report_ready(void *ctx, uint32_t events)
{
	struct process *process = ctx;
	struct spawn_report message;
	int fds[FDPASS_MAX];
	size_t nfds;
	ssize_t n;

	(void)events;
	n = fdpass_receive(process->report, &message, sizeof(message), fds, &nfds);
	if (n == (ssize_t)sizeof(message) && (message.event != SPAWN_TERMINAL || nfds == 1))
		handle_report(process, &message, nfds ? fds[0] : -1);
	else if (n != -EAGAIN)
		report_ended(process);
	while (nfds > 0)
		close(fds[--nfds]);
}

/*
 * The two ends of a stream: the child's, and ours; /dev/null for the child where the host wants none. The stream is the
 * user's, who may open /dev/stdout anew.
 */
static int make_stream(bool wanted, bool child_reads, uid_t user, int *child, int *parent, struct err *err)
{
	int ends[2];

	*parent = -1;
	if (!wanted) {
		*child = open("/dev/null", O_RDWR | O_CLOEXEC);
		return *child < 0 ? err_set(err, errno, "open /dev/null") : 0;
	}
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set(err, errno, "create a pipe");
	*child = ends[child_reads ? 0 : 1];
	*parent = ends[child_reads ? 1 : 0];
	if (fchown(*child, user, (gid_t)-1) < 0)
		return err_set(err, errno, "give a pipe to user %u", user);
	/* Fewer switches between the process and us; smaller is only slower. */
	(void)fcntl(ends[0], F_SETPIPE_SZ, PIPE_BYTES);
	return 0;
}

/* Descriptors that the child gets; ours stay in process. */
struct child_ends {
	int stdio[3];
	int report, sync, start;
};

static void close_child_ends(struct child_ends *ends)
{
	for (int i = 0; i < 3; i++)
		fd_close(&ends->stdio[i]);
	fd_close(&ends->report);
	fd_close(&ends->sync);
	fd_close(&ends->start);
}

/* The guest's number of the user that a process starts as. */
static uid_t user_of(const struct spawn *spawn)
{
	return spawn_guest_id(spawn->config, "uidMappings",
			      (uint32_t)json_get_integer(json_object_get(spawn->process, "user"), "uid", 0));
}

static int make_channels(struct process *process, struct child_ends *child, bool terminal, uid_t user,
			 const Cella__Agent__Stdio *stdio, struct err *err)
{
	const bool wanted[3] = { stdio && stdio->stdin, stdio && stdio->stdout, stdio && stdio->stderr };
	int pair[2];

	for (int i = 0; i < 3 && !terminal; i++)
		if (make_stream(wanted[i], i == 0, user, &child->stdio[i], &process->parent_ends[i], err) < 0)
			return -err->code;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(err, errno, "create a socket pair");
	process->report = pair[0];
	child->report = pair[1];
	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_set(err, errno, "create a pipe");
	child->sync = pair[0];
	process->sync = pair[1];
	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_set(err, errno, "create a pipe");
	child->start = pair[0];
	process->start = pair[1];
	return 0;
}

/*
 * A container that has divided its cgroup, as systemd does, has no processes in the cgroup itself (cgroup-v2.rst, "No
 * Internal Process Constraint"): what is executed in it goes where its first process is.
 */
static int enter_cgroup(const struct spawn *spawn, pid_t pid, struct err *err)
{
	struct cgroup of_init;
	int ret = cgroup_add_process(spawn->cgroup, pid, err);

	if (ret != -EBUSY || !spawn->init || spawn->cgroup_was_named)
		return ret;
	ret = cgroup_of_process(&of_init, spawn->init, err);
	return ret < 0 ? ret : cgroup_add_process(&of_init, pid, err);
}

/* The child waits for this: its cgroup and its id maps. */
static int admit(struct process *process, const struct spawn *spawn, pid_t pid, struct err *err)
{
	int ret = enter_cgroup(spawn, pid, err);

	if (ret == 0 && !spawn_has_helper(spawn) && spawn_wants_namespace(spawn->config, "user"))
		ret = spawn_write_id_maps(pid, spawn->config, err);
	if (ret == 0 && write(process->sync, "", 1) != 1)
		ret = err_set(err, errno, "let the process go on");
	fd_close(&process->sync);
	return ret;
}

struct process *process_new(struct container *container, struct loop *loop, const char *exec_id, struct spawn *spawn,
			    const Cella__Agent__Stdio *stdio, struct err *err)
{
	struct process *process = calloc(1, sizeof(*process));
	struct child_ends child = { { -1, -1, -1 }, -1, -1, -1 };
	pid_t pid = 0;
	int ret;

	if (!process) {
		err_set(err, ENOMEM, "process");
		return NULL;
	}
	process->container = container;
	process->loop = loop;
	strncpy(process->exec_id, exec_id, sizeof(process->exec_id) - 1);
	strncpy(process->token, stdio && stdio->token ? stdio->token : "", sizeof(process->token) - 1);
	process->report = process->sync = process->start = process->terminal = -1;
	process->parent_ends[0] = process->parent_ends[1] = process->parent_ends[2] = -1;
	ret = make_channels(process, &child, json_is_true(json_object_get(spawn->process, "terminal")), user_of(spawn), stdio,
			    err);
	if (ret == 0)
		ret = preserved_create(&process->preserved, loop, stdio, err);
	if (ret == 0) {
		spawn->preserved = &process->preserved;
		memcpy(spawn->stdio, child.stdio, sizeof(spawn->stdio));
		spawn->report = child.report;
		spawn->sync = child.sync;
		spawn->start = child.start;
		pid = *exec_id ? spawn_exec_process(spawn, err) : spawn_first_process(spawn, err);
		ret = pid;
	}
	close_child_ends(&child);
	preserved_close_child_ends(&process->preserved);
	if (ret < 0) {
		process_free(process);
		return NULL;
	}
	if (spawn_has_helper(spawn))
		process->helper = pid;
	else
		process->pid = pid;
	if (loop_add(loop, process->report, EPOLLIN, report_ready, process, err) < 0 || admit(process, spawn, pid, err) < 0) {
		process_free(process);
		return NULL;
	}
	return process;
}

void process_free(struct process *process)
{
	struct err err;

	if (!process)
		return;
	err_msg(&err, ESRCH, "the process is gone");
	if (process->pid > 0)
		kill(process->pid, SIGKILL);
	if (process->helper > 0)
		kill(process->helper, SIGKILL);
	stop_reporting(process);
	fail_call(&process->creating, &err);
	fail_call(&process->starting, &err);
	while (process->waiting) {
		struct pending_call *call = process->waiting;

		process->waiting = call->next;
		fail_call(call, &err);
		free(call);
	}
	for (int i = 0; i < 3; i++) {
		if (process->copiers[i])
			copier_cancel(process->copiers[i]);
		fd_close(&process->parent_ends[i]);
	}
	preserved_free(&process->preserved);
	fd_close(&process->sync);
	fd_close(&process->start);
	fd_close(&process->terminal);
	free(process);
}

void process_start(struct process *process, struct ttrpc *conn, uint32_t stream)
{
	if (process->state != PROCESS_CREATED || process->start < 0) {
		ttrpc_reply_error(conn, stream, TTRPC_FAILED_PRECONDITION, "the container is not in the state created");
		return;
	}
	process->starting = (struct pending_call){ .conn = conn, .stream = stream };
	let_exec(process);
}

void process_wait(struct process *process, struct ttrpc *conn, uint32_t stream)
{
	struct pending_call *call;

	if (process->state == PROCESS_EXITED) {
		answer_wait(process, conn, stream);
		return;
	}
	call = calloc(1, sizeof(*call));
	if (!call) {
		ttrpc_reply_error(conn, stream, TTRPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	*call = (struct pending_call){ .conn = conn, .stream = stream, .next = process->waiting };
	process->waiting = call;
}

int process_signal(struct process *process, int sig, struct err *err)
{
	if (process->state == PROCESS_EXITED || process->pid <= 0)
		return err_msg(err, ESRCH, "process already finished");
	if (kill(process->pid, sig) < 0)
		return err_set(err, errno, "signal %d", sig);
	return 0;
}

int process_resize(struct process *process, unsigned int rows, unsigned int columns, struct err *err)
{
	struct winsize window = { .ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns };

	if (process->terminal < 0)
		return err_msg(err, ENOTTY, "the process has no terminal");
	if (ioctl(process->terminal, TIOCSWINSZ, &window) < 0)
		return err_set(err, errno, "resize the terminal");
	return 0;
}


static void copier_done_0(void *ctx)
{
	((struct process *)ctx)->copiers[0] = NULL;
}

static void copier_done_1(void *ctx)
{
	((struct process *)ctx)->copiers[1] = NULL;
}

static void copier_done_2(void *ctx)
{
	((struct process *)ctx)->copiers[2] = NULL;
}

static void (*const copier_done[])(void *ctx) = { copier_done_0, copier_done_1, copier_done_2 };

static void start_copier(struct process *process, int slot, int from, int to)
{
	struct err err;

	if (from < 0 || to < 0) {
		fd_close(&from);
		fd_close(&to);
		return;
	}
	if (io_set_nonblocking(from) < 0 || io_set_nonblocking(to) < 0)
		log_warn("stream %d of process %d may block", slot, (int)process->pid);
	process->copiers[slot] = copier_new(process->loop, from, to, copier_done[slot], process, &err);
	if (!process->copiers[slot])
		log_warn("stream %d of process %d: %s", slot, (int)process->pid, err.msg);
	else if (process->state == PROCESS_EXITED && slot != 0)
		copier_finish(process->copiers[slot]);
}

/* A terminal is one connection for both directions: two copiers, each with descriptors of its own. */
static void attach_terminal(struct process *process, int fd)
{
	start_copier(process, 1, fcntl(process->terminal, F_DUPFD_CLOEXEC, 0), fcntl(fd, F_DUPFD_CLOEXEC, 0));
	start_copier(process, 0, fd, fcntl(process->terminal, F_DUPFD_CLOEXEC, 0));
}

void process_attach(struct process *process, unsigned int stream, int fd)
{
	if (stream == 0 && process->terminal >= 0) {
		if (process->copiers[0] || process->copiers[1])
			close(fd);
		else
			attach_terminal(process, fd);
		return;
	}
	if (stream >= PRESERVED_FIRST) {
		preserved_attach(&process->preserved, stream - PRESERVED_FIRST, fd);
		/* The process may be gone already: what it has written is there. */
		if (process->state == PROCESS_EXITED)
			preserved_finish(&process->preserved);
		return;
	}
	if (process->parent_ends[stream] < 0) {
		close(fd);
		return;
	}
	if (stream == 0)
		start_copier(process, 0, fd, process->parent_ends[0]);
	else
		start_copier(process, (int)stream, process->parent_ends[stream], fd);
	process->parent_ends[stream] = -1;
}

static void finish_streams(struct process *process)
{
	if (process->copiers[0])
		copier_cancel(process->copiers[0]);
	process->copiers[0] = NULL;
	for (int i = 1; i < 3; i++)
		if (process->copiers[i])
			copier_finish(process->copiers[i]);
	fd_close(&process->parent_ends[0]);
	preserved_finish(&process->preserved);
}

void process_reaped(struct process *process, int wait_status)
{
	struct pending_call *call;

	process->exit_status = WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
	/* What it said last is in the socket: read it before the end counts. */
	while (process->report >= 0)
		report_ready(process, 0);
	process->state = PROCESS_EXITED;
	process->pid = 0;
	fd_close(&process->start);
	finish_streams(process);
	while ((call = process->waiting)) {
		process->waiting = call->next;
		answer_wait(process, call->conn, call->stream);
		free(call);
	}
}

void process_connection_ended(struct process *process, struct ttrpc *conn)
{
	struct pending_call **at = &process->waiting;

	if (process->creating.conn == conn)
		process->creating.conn = NULL;
	if (process->starting.conn == conn)
		process->starting.conn = NULL;
	while (*at) {
		struct pending_call *call = *at;

		if (call->conn == conn) {
			*at = call->next;
			free(call);
		} else {
			at = &call->next;
		}
	}
	if (process->owner == conn) {
		process->owner = NULL;
		if (process->pid > 0)
			kill(process->pid, SIGKILL);
	}
}
