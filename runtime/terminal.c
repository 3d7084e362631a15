/* SPDX-License-Identifier: Apache-2.0 */
/* Terminals on the host. */
#include "runtime/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/copier.h"
#include "lib/fdpass.h"
#include "lib/io.h"
#include "lib/json.h"
#include "lib/loop.h"
#include "lib/log.h"

int terminal_open_pty(struct pty *pty, const json_t *process, struct err *err)
{
	const json_t *size = json_object_get(process, "consoleSize");
	struct winsize window = {
		.ws_row = (unsigned short)json_get_integer(size, "height", 0),
		.ws_col = (unsigned short)json_get_integer(size, "width", 0),
	};
	auto_fd master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (master < 0 || unlockpt(master) < 0)
		return err_set(err, errno, "open a terminal");
	pty->slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (pty->slave < 0)
		return err_set(err, errno, "open a terminal's slave side");
	if (!window.ws_row && ioctl(0, TIOCGWINSZ, &window) < 0)
		window.ws_row = 0;
	if (window.ws_row && ioctl(master, TIOCSWINSZ, &window) < 0)
		log_debug("the terminal keeps its size: %s", strerror(errno));
	pty->master = fd_take(&master);
	return 0;
}

int terminal_send_master(const struct pty *pty, const char *socket_path, struct err *err)
{
	auto_fd sock = fdpass_connect(socket_path, err);
	char name[64];
	int ret;

	if (sock < 0)
		return err_wrap(err, "console socket");
	if (ptsname_r(pty->master, name, sizeof(name)) != 0)
		strcpy(name, "/dev/ptmx");
	ret = fdpass_send(sock, name, strlen(name), &pty->master, 1);
	return ret < 0 ? err_set(err, -ret, "send the terminal to console socket %s", socket_path) : 0;
}

struct proxy {
	struct loop *loop;
	pid_t pid;
	int master; /* -1: no terminal */
	int signals;
	int status; /* wait status, once ended */
	bool ended;
	struct copier *input, *output;
};

static void maybe_stop(struct proxy *proxy)
{
	if (proxy->ended && !proxy->output)
		loop_stop(proxy->loop);
}

static void input_done(void *ctx)
{
	((struct proxy *)ctx)->input = NULL;
}

static void output_done(void *ctx)
{
	struct proxy *proxy = ctx;

	proxy->output = NULL;
	maybe_stop(proxy);
}

static void copy_window_size(const struct proxy *proxy)
{
	struct winsize window;

	if (proxy->master >= 0 && ioctl(0, TIOCGWINSZ, &window) == 0 && ioctl(proxy->master, TIOCSWINSZ, &window) < 0)
		log_debug("the terminal keeps its size: %s", strerror(errno));
}

static void signals_ready(void *ctx, uint32_t events)
{
	struct proxy *proxy = ctx;
	struct signalfd_siginfo info;

	(void)events;
	while (read(proxy->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD) {
			if (waitpid(proxy->pid, &proxy->status, WNOHANG) == proxy->pid) {
				proxy->ended = true;
				if (proxy->output)
					copier_finish(proxy->output);
				maybe_stop(proxy);
			}
		} else if (info.ssi_signo == SIGWINCH) {
			copy_window_size(proxy);
		} else if (info.ssi_signo != SIGPIPE) {
			kill(proxy->pid, (int)info.ssi_signo);
		}
	}
}

static int open_signals(struct proxy *proxy, struct err *err)
{
	static const int passed[] = { SIGCHLD, SIGWINCH, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGCONT, SIGALRM };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(passed); i++)
		sigaddset(&set, passed[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_set(err, errno, "block signals");
	proxy->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (proxy->signals < 0)
		return err_set(err, errno, "signalfd");
	return loop_add(proxy->loop, proxy->signals, EPOLLIN, signals_ready, proxy, err);
}

static int start_copiers(struct proxy *proxy, struct err *err)
{
	int from = fcntl(proxy->master, F_DUPFD_CLOEXEC, 3), to = fcntl(proxy->master, F_DUPFD_CLOEXEC, 3);

	if (from < 0 || to < 0 || io_set_nonblocking(from) < 0)
		return err_set(err, errno, "connect the terminal");
	proxy->output = copier_new(proxy->loop, from, io_reopen_nonblocking(1, O_WRONLY), output_done, proxy, err);
	proxy->input = copier_new(proxy->loop, io_reopen_nonblocking(0, O_RDONLY), to, input_done, proxy, err);
	return proxy->output && proxy->input ? 0 : -err->code;
}

static int run(struct proxy *proxy, struct err *err)
{
	int ret;

	proxy->loop = loop_new(err);
	if (!proxy->loop || open_signals(proxy, err) < 0)
		return -err->code;
	if (proxy->master >= 0 && start_copiers(proxy, err) < 0)
		return -err->code;
	/* It may have ended before the signal was blocked. */
	if (waitpid(proxy->pid, &proxy->status, WNOHANG) == proxy->pid) {
		proxy->ended = true;
		if (proxy->output)
			copier_finish(proxy->output);
	}
	maybe_stop(proxy);
	ret = loop_run(proxy->loop, -1);
	if (proxy->input)
		copier_cancel(proxy->input);
	loop_free(proxy->loop);
	close(proxy->signals);
	if (ret < 0)
		return err_set(err, -ret, "wait for the container");
	return WIFSIGNALED(proxy->status) ? 128 + WTERMSIG(proxy->status) : WEXITSTATUS(proxy->status);
}

int terminal_proxy(int master, pid_t pid, struct err *err)
{
	struct proxy proxy = { .pid = pid, .master = master, .signals = -1 };
	struct termios before, raw;
	bool is_terminal = tcgetattr(0, &before) == 0;
	int ret;

	if (is_terminal) {
		raw = before;
		cfmakeraw(&raw);
		if (tcsetattr(0, TCSANOW, &raw) < 0)
			return err_set(err, errno, "set the terminal to raw mode");
		copy_window_size(&proxy);
	}
	ret = run(&proxy, err);
	if (is_terminal && tcsetattr(0, TCSADRAIN, &before) < 0)
		log_warn("the terminal stays in raw mode: %s", strerror(errno));
	return ret;
}

int terminal_wait(pid_t pid, struct err *err)
{
	struct proxy proxy = { .pid = pid, .master = -1, .signals = -1 };

	return run(&proxy, err);
}
