/* SPDX-License-Identifier: Apache-2.0 */
/* What creating a container and a further process have in common. */
#include "runtime/launch_process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/json.h"
#include "runtime/preserve.h"

static bool is_dev_null(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

/* Options that cannot work in a VM are refused, those without a meaning here are accepted. */
int launch_check_options(const struct launch_options *options, struct preserved_fds *preserved, struct err *err)
{
	if (options->pidfd_socket)
		return err_msg(err, ENOTSUP, "option --pidfd-socket is not supported");
	return preserve_inspect(preserved, options->preserve_fds, err);
}

int launch_check_terminal(const struct launch_options *options, const json_t *process, bool foreground, struct err *err)
{
	bool terminal = json_get_bool(process, "terminal", false);

	if (terminal && !options->console_socket && !foreground)
		return err_msg(err, EINVAL, "process.terminal is true: a detached container needs --console-socket");
	if (!terminal && options->console_socket)
		return err_msg(err, EINVAL, "option --console-socket is of no use: process.terminal is not true");
	return 0;
}

/* The descriptors that the stand-in gets as 0, 1, 2, and the master where it is to go. */
int launch_set_up_streams(const struct launch_options *options, const json_t *process, struct pty *pty, int stdio[3],
			  struct standin_job *job, struct err *err)
{
	for (int i = 0; i < 3; i++) {
		stdio[i] = i;
		job->streams[i] = !is_dev_null(i);
	}
	job->terminal = json_get_bool(process, "terminal", false);
	if (!job->terminal)
		return 0;
	if (terminal_open_pty(pty, process, err) < 0)
		return -err->code;
	stdio[0] = stdio[1] = stdio[2] = pty->slave;
	return options->console_socket ? terminal_send_master(pty, options->console_socket, err) : 0;
}

int launch_make_report_socket(struct standin_job *job, int *ret_ours, struct err *err)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(err, errno, "create a socket pair");
	*ret_ours = pair[0];
	job->report = pair[1];
	return 0;
}

void launch_fill_stdio(struct launch_stdio *stdio, const struct standin_job *job)
{
	cella__agent__stdio__init(&stdio->message);
	stdio->message.token = (char *)job->token;
	stdio->message.stdin = job->streams[0];
	stdio->message.stdout = job->streams[1];
	stdio->message.stderr = job->streams[2];
	preserve_fill(&stdio->message, &job->preserved, stdio->preserved, stdio->list);
}

void launch_fill_seccomp(Cella__Agent__SeccompFilter *filter, const struct seccomp_program *program)
{
	cella__agent__seccomp_filter__init(filter);
	filter->program.data = program->code;
	filter->program.len = program->len;
	filter->flags = program->flags;
}

uint8_t *launch_pack(const ProtobufCMessage *message, size_t *ret_len, struct err *err)
{
	uint8_t *packed;

	*ret_len = protobuf_c_message_get_packed_size(message);
	packed = malloc(*ret_len + 1);
	if (packed)
		protobuf_c_message_pack(message, packed);
	else
		err_set(err, ENOMEM, "request");
	return packed;
}

/* The container's argv as the stand-in's, for ps. The strings stay the config's. */
static char **standin_argv(const json_t *process)
{
	return (char **)json_string_list(json_object_get(process, "args"));
}

int launch_spawn_standin(struct standin_job *job, const void *request, const int stdio[3], const json_t *process,
			 const json_t *config, const struct host_cgroup *cgroup, pid_t *ret_pid, struct err *err)
{
	auto_free char **argv = standin_argv(process);

	if (!argv)
		return err_set(err, ENOMEM, "stand-in");
	*ret_pid = standin_spawn(job, request, stdio, argv, config, cgroup->managed ? &cgroup->cgroup : NULL, err);
	return *ret_pid < 0 ? -err->code : 0;
}

int launch_write_pid_file(const char *path, pid_t pid, struct err *err)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d", (int)pid);

	return path ? io_replace_file(AT_FDCWD, path, text, (size_t)n, 0644, err) : 0;
}
