/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cella-agent: PID 1 of the guest. Mounts, listens on three vsock ports (calls, streams, visitors), tells the host that it is ready
 * by connecting to it, and serves until the VM is taken away. One thread, one loop.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/container.h"
#include "agent/guest.h"
#include "agent/ports.h"
#include "agent/service.h"
#include "agent/visitors.h"
#include "agent/vsock.h"
#include "lib/cleanup.h"
#include "lib/first_line.h"
#include "lib/io.h"
#include "lib/log.h"
#include "lib/socket_greeting.h"

struct agent {
	struct loop *loop;
	struct containers *containers;
	struct service service;
	struct visitors visitors;
	int signals, calls, streams, visits;
};

/* A connection from the host, or -1: containers in this guest must not get at the agent. */
static int accept_host(int listener)
{
	struct sockaddr_vm addr;
	socklen_t len = sizeof(addr);
	int fd = accept4(listener, (struct sockaddr *)&addr, &len, SOCK_CLOEXEC);

	if (fd >= 0 && addr.svm_cid != VMADDR_CID_HOST) {
		log_warn_limited("connection from CID %u refused", addr.svm_cid);
		close(fd);
		return -1;
	}
	return fd;
}

static void call_connection(struct agent *agent, int fd)
{
	struct err err;

	/* The connection frees itself when it ends (service_ops.closed). */
	if (!ttrpc_new(agent->loop, fd, &service_ops, &agent->service, &err))
		log_warn("%s", err.msg);
}

static void calls_ready(void *ctx, uint32_t events)
{
	struct agent *agent = ctx;
	int fd = accept_host(agent->calls);

	(void)events;
	if (fd >= 0)
		call_connection(agent, fd);
}

/* A stream's first line: "<token> <stream>\n". NULL, with no number, if it is not one of ours. */
static struct process *process_of(struct agent *agent, char *line, unsigned int *ret_stream)
{
	char *space = line ? strchr(line, ' ') : NULL, end;

	if (!space)
		return NULL;
	*space = '\0';
	return sscanf(space + 1, "%4u%c", ret_stream, &end) == 2 && end == '\n' ? containers_find_token(agent->containers, line) : NULL;
}

static void stream_said(void *ctx, int fd, char *line)
{
	unsigned int stream;
	struct process *process = process_of(ctx, line, &stream);

	if (process)
		process_attach(process, stream, fd);
	else
		close(fd);
}

static void streams_ready(void *ctx, uint32_t events)
{
	struct agent *agent = ctx;
	int fd = accept_host(agent->streams);
	struct err err;

	(void)events;
	if (fd >= 0 && first_line_read(agent->loop, fd, PORT_STREAMS_LINE_MAX, stream_said, agent, &err) < 0)
		log_warn("%s", err.msg);
}

static void visitors_ready(void *ctx, uint32_t events)
{
	struct agent *agent = ctx;
	int fd = accept_host(agent->visits);

	(void)events;
	if (fd >= 0)
		visitors_join(&agent->visitors, fd);
}

/* signalfd coalesces: one event may stand for many children. */
static void signals_ready(void *ctx, uint32_t events)
{
	struct agent *agent = ctx;
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	(void)events;
	while (read(agent->signals, &info, sizeof(info)) == sizeof(info))
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		containers_reaped(agent->containers, pid, status);
}

static int open_signals(struct err *err)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_set(err, errno, "block signals");
	signal(SIGPIPE, SIG_IGN);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? err_set(err, errno, "signalfd") : fd;
}

static int serve(struct agent *agent, struct err *err)
{
	int host, ret;

	agent->loop = loop_new(err);
	if (!agent->loop)
		return -err->code;
	agent->containers = containers_new(agent->loop, err);
	if (!agent->containers)
		return -err->code;
	agent->service.loop = agent->loop;
	agent->service.containers = agent->containers;
	agent->service.growth = growth_new(agent->loop, err);
	agent->service.names = names_new(agent->loop, 0, err);
	if (!agent->service.growth || !agent->service.names)
		return -err->code;
	agent->signals = open_signals(err);
	if (agent->signals < 0 || loop_add(agent->loop, agent->signals, EPOLLIN, signals_ready, agent, err) < 0)
		return -err->code;
	agent->calls = vsock_listen(PORT_CALLS, err);
	if (agent->calls < 0 || loop_add(agent->loop, agent->calls, EPOLLIN, calls_ready, agent, err) < 0)
		return -err->code;
	agent->streams = vsock_listen(PORT_STREAMS, err);
	if (agent->streams < 0 || vsock_set_buffer(agent->streams, STREAM_BUFFER, err) < 0 ||
	    loop_add(agent->loop, agent->streams, EPOLLIN, streams_ready, agent, err) < 0)
		return -err->code;
	agent->visitors.loop = agent->loop;
	agent->visits = vsock_listen(PORT_VISITORS, err);
	if (agent->visits < 0 || loop_add(agent->loop, agent->visits, EPOLLIN, visitors_ready, agent, err) < 0)
		return -err->code;
	/* The host listens on this port until we are there; this connection carries its first calls. */
	host = vsock_connect_host(PORT_READY, 0, err);
	if (host < 0)
		return host;
	call_connection(agent, host);
	ret = loop_run(agent->loop, -1);
	return ret < 0 ? err_set(err, -ret, "wait for events") : 0;
}

/* A guest without its agent is of no use: the panic that follows tells the VMM, and the console why. */
static int give_up(const struct err *err)
{
	auto_fd fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	char line[sizeof(err->msg) + 32];

	/* Not dprintf, which gives up where there is no position. If this fails, too, the panic's exitcode= is all there is to tell. */
	snprintf(line, sizeof(line), "<0>cella-agent: %s\n", err->msg);
	if (fd < 0 || write(fd, line, strlen(line)) < 0)
		return 2;
	return 1;
}

int main(void)
{
	struct agent agent = { 0 };
	struct err err;
	int ret;

	if (getpid() != 1) {
		fprintf(stderr, "cella-agent version %s: runs as PID 1 of a cella guest only\n", CELLA_VERSION);
		return 1;
	}
	ret = guest_mount_base(&err);
	if (ret == 0 && io_fill_standard_fds() < 0)
		ret = err_set(&err, errno, "open /dev/null");
	/* The guest's kernel log is the one place where an operator looks. */
	if (ret == 0)
		ret = log_init("cella-agent", "/dev/kmsg", LOG_FORMAT_TEXT, LOG_LEVEL_WARN, &err);
	guest_raise_limits();
	if (ret == 0)
		ret = guest_loopback_up(&err);
	if (ret == 0)
		ret = serve(&agent, &err);
	return ret < 0 ? give_up(&err) : 0;
}
