/* SPDX-License-Identifier: Apache-2.0 */
/* The stand-in's life. */
#include "runtime/standin.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "agent/ports.h"
#include "lib/cleanup.h"
#include "lib/copier.h"
#include "lib/hooks.h"
#include "lib/io.h"
#include "lib/json.h"
#include "lib/log.h"
#include "runtime/agent_client.h"
#include "runtime/host_sockets.h"
#include "runtime/oom.h"
#include "runtime/preserve.h"
#include "runtime/runtime.h"
#include "runtime/standin_network.h"
#include "runtime/standin_proc.h"
#include "runtime/standin_root.h"
#include "runtime/vm_control.h"
#include "runtime/vm_owner.h"

#define VARIABLE "_CELLA_STANDIN"
#define STATUS_VM_DIED 137 /* as if killed: 128 + SIGKILL */

struct standin {
	struct standin_job job;
	uint8_t *request; /* owned */
	struct loop *loop;
	struct ttrpc *agent;
	int signals;
	int null; /* /dev/null, which the stand-in's own root may not have */
	struct oom oom; /* of a container's first process */
	struct vm_owner owner; /* unused where owns_vm() is false */
	struct standin_network network; /* and where the job does not say to follow it */
	struct copier *outputs[2]; /* the guest's standard output and error (or terminal) to ours */
	struct copier *input;
	struct preserve preserve;
	struct host_sockets sockets;
	struct standin_proc proc;
	bool committed;
	bool ended; /* the guest's process has */
	int status;
};

bool standin_requested(void)
{
	const char *value = getenv(VARIABLE);

	/* The job is a memfd that nobody can have left open by chance; anything else is refused when it is read. */
	return value && *value;
}

static int read_job(struct standin *standin)
{
	int fd = atoi(getenv(VARIABLE));

	if (fd < 3 || io_read_all(fd, &standin->job, sizeof(standin->job)) < 0 || standin->job.request_len > TTRPC_MESSAGE_MAX)
		return -1;
	standin->request = malloc(standin->job.request_len + 1);
	if (!standin->request || io_read_all(fd, standin->request, standin->job.request_len) < 0)
		return -1;
	close(fd);
	/* They are the container's, not a hook's. */
	for (size_t i = 0; i < standin->job.nsockets; i++)
		(void)fcntl(standin->job.sockets[i].fd, F_SETFD, FD_CLOEXEC);
	for (size_t i = 0; i < standin->job.preserved.n; i++)
		(void)fcntl(PRESERVED_FIRST + (int)i, F_SETFD, FD_CLOEXEC);
	return 0;
}

static void maybe_finish(struct standin *standin)
{
	/* Every byte of output is with the reader before we are gone. */
	if (standin->ended && !standin->outputs[0] && !standin->outputs[1] && !standin->preserve.open &&
	    !host_sockets_busy(&standin->sockets))
		loop_stop(standin->loop);
}

/*
 * The container has closed this stream, or nobody reads or writes it any more out here: the other end is to notice, though we
 * live on. The number stays taken.
 */
static void close_stream(const struct standin *standin, int fd)
{
	if (!standin->job.terminal && dup2(standin->null, fd) < 0)
		log_warn("close descriptor %d: %s", fd, strerror(errno));
}

static void output_done(void *ctx)
{
	struct standin *standin = ctx;

	standin->outputs[0] = NULL;
	close_stream(standin, STDOUT_FILENO);
	maybe_finish(standin);
}

static void error_done(void *ctx)
{
	struct standin *standin = ctx;

	standin->outputs[1] = NULL;
	close_stream(standin, STDERR_FILENO);
	maybe_finish(standin);
}

static void sockets_done(void *ctx)
{
	maybe_finish(ctx);
}

static void preserved_done(void *ctx)
{
	maybe_finish(ctx);
}

static void input_done(void *ctx)
{
	struct standin *standin = ctx;

	standin->input = NULL;
	close_stream(standin, STDIN_FILENO);
}

static int dial(struct standin *standin, unsigned int stream, struct err *err)
{
	int fd = agent_dial_stream(standin->job.vm_dir, standin->job.token, stream, err);

	if (fd >= 0 && io_set_nonblocking(fd) < 0) {
		close(fd);
		return err_set(err, errno, "stream %u", stream);
	}
	return fd;
}

static int connect_terminal(struct standin *standin, struct err *err)
{
	int fd = dial(standin, 0, err);

	if (fd < 0)
		return fd;
	standin->outputs[0] = copier_new(standin->loop, fcntl(fd, F_DUPFD_CLOEXEC, 0), io_reopen_nonblocking(0, O_WRONLY), output_done,
					 standin, err);
	standin->input = copier_new(standin->loop, io_reopen_nonblocking(0, O_RDONLY), fd, input_done, standin, err);
	return standin->outputs[0] && standin->input ? 0 : -err->code;
}

static int connect_streams(struct standin *standin, struct err *err)
{
	if (standin->job.terminal)
		return connect_terminal(standin, err);
	for (unsigned int i = 0; i < 3; i++) {
		int fd;

		if (!standin->job.streams[i])
			continue;
		fd = dial(standin, i, err);
		if (fd < 0)
			return fd;
		if (i == 0)
			standin->input = copier_new(standin->loop, io_reopen_nonblocking(0, O_RDONLY), fd, input_done, standin, err);
		else
			standin->outputs[i - 1] = copier_new(standin->loop, fd, io_reopen_nonblocking((int)i, O_WRONLY),
							     i == 1 ? output_done : error_done, standin, err);
		if (i == 0 ? !standin->input : !standin->outputs[i - 1])
			return -err->code;
	}
	return 0;
}

/* Our side of the pty passes bytes through as they are: the guest's terminal does the line discipline. */
static int set_up_terminal(struct err *err)
{
	struct termios mode;

	/* A session of our own; it fails if we lead one already, which is as good. */
	setsid();
	if (ioctl(0, TIOCSCTTY, 0) < 0 || tcgetattr(0, &mode) < 0)
		return err_set(err, errno, "take the terminal");
	cfmakeraw(&mode);
	if (tcsetattr(0, TCSANOW, &mode) < 0)
		return err_set(err, errno, "set the terminal to raw mode");
	return 0;
}

static void ignore_answer(void *ctx, const struct err *err, const uint8_t *payload, size_t len)
{
	(void)ctx;
	(void)payload;
	(void)len;
	if (err)
		log_debug("%s", err->msg);
}

static void pass_window_size(struct standin *standin)
{
	Cella__Agent__ResizeTerminalRequest request = CELLA__AGENT__RESIZE_TERMINAL_REQUEST__INIT;
	struct winsize size;
	struct err err;

	if (!standin->job.terminal || ioctl(0, TIOCGWINSZ, &size) < 0 || !size.ws_row)
		return;
	request.id = standin->job.id;
	request.exec_id = standin->job.exec_id;
	request.rows = size.ws_row;
	request.columns = size.ws_col;
	if (ttrpc_call(standin->agent, AGENT_SERVICE, "ResizeTerminal", &request.base, ignore_answer, NULL, &err) < 0)
		log_debug("%s", err.msg);
}

static void pass_signal(struct standin *standin, int sig)
{
	Cella__Agent__SignalProcessRequest request = CELLA__AGENT__SIGNAL_PROCESS_REQUEST__INIT;
	struct err err;

	request.id = standin->job.id;
	request.exec_id = standin->job.exec_id;
	request.signal = sig;
	if (ttrpc_call(standin->agent, AGENT_SERVICE, "SignalProcess", &request.base, ignore_answer, NULL, &err) < 0)
		log_debug("%s", err.msg);
}

static void signals_ready(void *ctx, uint32_t events)
{
	struct standin *standin = ctx;
	struct signalfd_siginfo info;

	(void)events;
	while (read(standin->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGWINCH)
			pass_window_size(standin);
		else if (info.ssi_signo != SIGCHLD && info.ssi_signo != SIGPIPE)
			pass_signal(standin, (int)info.ssi_signo);
	}
}

/* As pid 1 of a pid namespace default actions do not happen: every signal is taken here (R13). */
static int open_signals(struct standin *standin, struct err *err)
{
	sigset_t all;

	sigfillset(&all);
	/* Those that our own mistakes raise keep their effect. */
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGABRT);
	sigdelset(&all, SIGTTOU);
	signal(SIGTTOU, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &all, NULL) < 0)
		return err_set(err, errno, "block signals");
	standin->signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	if (standin->signals < 0)
		return err_set(err, errno, "signalfd");
	return loop_add(standin->loop, standin->signals, EPOLLIN, signals_ready, standin, err);
}

static void process_ended(void *ctx, const struct err *err, const uint8_t *payload, size_t len)
{
	struct standin *standin = ctx;
	struct err told;
	const ProtobufCMessageDescriptor *descriptor = &cella__agent__wait_process_response__descriptor;
	Cella__Agent__WaitProcessResponse *response =
		err ? NULL : (Cella__Agent__WaitProcessResponse *)ttrpc_unpack(descriptor, payload, len);

	standin->ended = true;
	if (response && response->oom_killed && *standin->job.bundle && oom_tell_host(&standin->oom, &told) < 0)
		log_warn("%s", told.msg);
	standin->status = response ? response->exit_status & 0xff : STATUS_VM_DIED;
	if (response)
		cella__agent__wait_process_response__free_unpacked(response, NULL);
	if (standin->input)
		copier_cancel(ptr_take(&standin->input));
	preserve_finish(&standin->preserve);
	host_sockets_finish(&standin->sockets, sockets_done, standin);
	maybe_finish(standin);
}

static void agent_gone(void *ctx, struct ttrpc *conn)
{
	struct standin *standin = ctx;

	(void)conn;
	if (!standin->ended) {
		standin->ended = true;
		standin->status = STATUS_VM_DIED;
	}
	/* No more bytes will come. */
	loop_stop(standin->loop);
}

static const struct ttrpc_ops agent_ops = { .request = NULL, .closed = agent_gone };

static int send_request(struct standin *standin, struct err *err)
{
	bool exec = *standin->job.exec_id;
	const ProtobufCMessageDescriptor *descriptor =
		exec ? &cella__agent__exec_process_request__descriptor : &cella__agent__create_container_request__descriptor;
	ProtobufCMessage *request =
		protobuf_c_message_unpack(descriptor, NULL, standin->job.request_len, standin->request);
	int ret;

	if (!request)
		return err_msg(err, EPROTO, "the stand-in's job is malformed");
	ret = ttrpc_call_wait(standin->agent, standin->loop, AGENT_SERVICE, exec ? "ExecProcess" : "CreateContainer", request,
			      &cella__agent__pid_response__descriptor, NULL, AGENT_TIMEOUT_MS, err);
	protobuf_c_message_free_unpacked(request, NULL);
	return ret;
}

/* The VM was started for this container; others join it. */
static bool owns_vm(const struct standin *standin)
{
	return standin->job.ready >= 0;
}

static int connect_agent(struct standin *standin, struct err *err)
{
	bool first = owns_vm(standin);
	int fd = first ? vm_owner_accept_agent(&standin->job, err) : agent_dial(standin->job.vm_dir, PORT_CALLS, err);

	if (fd < 0)
		return fd;
	standin->agent = ttrpc_new(standin->loop, fd, &agent_ops, standin, err);
	if (!standin->agent)
		return -err->code;
	if (first) {
		/* One agent, one connection: nobody else may pose as it. */
		close(standin->job.ready);
		return vm_owner_set_up(&standin->owner, &standin->job, standin->loop, standin->agent, err);
	}
	return 0;
}

static int wait_for_process(struct standin *standin, struct err *err)
{
	Cella__Agent__ProcessRef request = CELLA__AGENT__PROCESS_REF__INIT;

	request.id = standin->job.id;
	request.exec_id = standin->job.exec_id;
	return ttrpc_call(standin->agent, AGENT_SERVICE, "WaitProcess", &request.base, process_ended, standin, err);
}

/* config.md, "createContainer": the host's program, in the container's namespaces, before its root is entered. */
static int run_create_hooks(const struct standin *standin, const json_t *config, struct err *err)
{
	json_t *state;
	int ret;

	if (!hooks_exist(config, "createContainer"))
		return 0;
	state = json_pack("{s:s, s:s, s:s, s:i, s:s}", "ociVersion", RUNTIME_OCI_VERSION, "id", standin->job.id, "status",
			  status_names[STATUS_CREATING], "pid", (int)getpid(), "bundle", standin->job.bundle);
	if (state && json_object_get(config, "annotations"))
		json_object_set(state, "annotations", json_object_get(config, "annotations"));
	ret = hooks_run(config, "createContainer", state, standin->job.bundle, err);
	json_decref(state);
	return ret;
}

static int follow_network(struct standin *standin, struct err *err)
{
	/* For life, in either case. */
	int control = owns_vm(standin) ? standin->owner.control : vm_control_open(standin->job.vm_dir, err);

	return control < 0 ? control :
			     standin_network_start(&standin->network, &standin->job, control, standin->loop, standin->agent, err);
}

static int enter_root(struct standin *standin, const json_t *config, struct err *err)
{
	int ret = standin_root_enter(standin->job.bundle, config, &standin->proc, err);

	return ret < 0 || standin->proc.fuse < 0 ?
		       ret :
		       standin_proc_start(&standin->proc, standin->job.id, standin->loop, standin->agent, err);
}

/* What has to be seen of the container where engines look for it. */
static int take_place(struct standin *standin, struct err *err)
{
	Cella__Agent__CreateContainerRequest *request;
	json_t *config;
	int ret = oom_prepare(&standin->oom, standin->job.bundle, &standin->job.cgroup, standin->job.memory_max, err);

	if (ret == 0 && owns_vm(standin))
		ret = vm_owner_start(&standin->owner, standin->agent, err);
	if (ret == 0 && standin->job.follow_network)
		ret = follow_network(standin, err);
	if (ret < 0)
		return ret;
	request = cella__agent__create_container_request__unpack(NULL, standin->job.request_len, standin->request);
	config = request ? json_parse_object((char *)request->config.data, request->config.len, "config.json", err) : NULL;
	ret = config ? run_create_hooks(standin, config, err) : -err->code;
	if (ret == 0 && standin->job.own_mounts)
		ret = enter_root(standin, config, err);
	json_decref(config);
	if (request)
		cella__agent__create_container_request__free_unpacked(request, NULL);
	return ret;
}

static int set_up(struct standin *standin, struct err *err)
{
	standin->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (standin->null < 0)
		return err_set(err, errno, "open /dev/null");
	standin->loop = loop_new(err);
	if (!standin->loop || open_signals(standin, err) < 0)
		return -err->code;
	if (standin->job.terminal && set_up_terminal(err) < 0)
		return -err->code;
	if (connect_agent(standin, err) < 0 || host_sockets_start(&standin->sockets, &standin->job, standin->loop, err) < 0 ||
	    send_request(standin, err) < 0)
		return -err->code;
	if (connect_streams(standin, err) < 0 ||
	    preserve_connect(&standin->preserve, &standin->job, standin->loop, preserved_done, standin, err) < 0 ||
	    wait_for_process(standin, err) < 0)
		return -err->code;
	pass_window_size(standin);
	return *standin->job.exec_id ? 0 : take_place(standin, err);
}

/* A creator that dies before it commits never told anybody of this container. */
static void commit_arrived(void *ctx, uint32_t events)
{
	struct standin *standin = ctx;
	char byte;

	(void)events;
	if (read(standin->job.report, &byte, 1) != 1)
		_exit(1);
	standin->committed = true;
	loop_remove(standin->loop, standin->job.report);
	close(standin->job.report);
	standin->job.report = -1;
}

/* Standard error is the container's. */
static void open_log(const struct standin *standin)
{
	char path[PATH_MAX + 16];
	struct err err;

	snprintf(path, sizeof(path), "%s/standin.log", standin->job.directory);
	if (log_init("cella", path, LOG_FORMAT_TEXT, LOG_LEVEL_WARN, &err) < 0)
		log_init_fd("cella", -1, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
}

/* What ps and pgrep go by is the program that this process stands for; the arguments are its own already. */
static void take_name(const char *program)
{
	const char *slash = strrchr(program, '/');

	prctl(PR_SET_NAME, slash ? slash + 1 : program);
}

int standin_main(const char *program)
{
	static struct standin standin; /* large; one per process */
	struct err err;

	if (read_job(&standin) < 0)
		return 1;
	unsetenv(VARIABLE);
	take_name(program);
	open_log(&standin);
	memset(&err, 0, sizeof(err));
	if (set_up(&standin, &err) < 0) {
		host_sockets_end(&standin.sockets);
		/* Whether or not the creator still hears it. */
		(void)!write(standin.job.report, &err, sizeof(err));
		return 1;
	}
	memset(&err, 0, sizeof(err));
	if (loop_add(standin.loop, standin.job.report, EPOLLIN, commit_arrived, &standin, &err) < 0 ||
	    io_write_all(standin.job.report, &err, sizeof(err)) < 0)
		return 1;
	while (!standin.committed)
		if (loop_step(standin.loop, -1) < 0)
			return 1;
	maybe_finish(&standin);
	if (loop_run(standin.loop, -1) < 0)
		standin.status = STATUS_VM_DIED;
	host_sockets_end(&standin.sockets);
	return standin.status;
}
