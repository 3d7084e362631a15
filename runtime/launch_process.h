/* SPDX-License-Identifier: Apache-2.0 */
/* The steps that creating a container and a further process in one have in common. For launch.c and launch_exec.c. */
#ifndef RUNTIME_LAUNCH_PROCESS_H
#define RUNTIME_LAUNCH_PROCESS_H

#include <jansson.h>

#include "agent/proto/agent.pb-c.h"
#include "lib/err.h"
#include "runtime/host_cgroup.h"
#include "runtime/launch.h"
#include "runtime/seccomp.h"
#include "runtime/standin.h"
#include "runtime/terminal.h"

/* Options that cannot work in a VM are refused, those without a meaning here are accepted. Notes preserved descriptors. */
int launch_check_options(const struct launch_options *options, struct preserved_fds *preserved, struct err *err) must_check;

/* Whether the options fit process.terminal. */
int launch_check_terminal(const struct launch_options *options, const json_t *process, bool foreground,
			  struct err *err) must_check;

/* The descriptors that the stand-in gets as 0, 1, 2 (borrowed), and the terminal's master where it is to go. */
int launch_set_up_streams(const struct launch_options *options, const json_t *process, struct pty *pty, int stdio[3],
			  struct standin_job *job, struct err *err) must_check;

/* job->report and our end of it; both are the caller's. */
int launch_make_report_socket(struct standin_job *job, int *ret_ours, struct err *err) must_check;

/* Parts of a request; they borrow, and have to live until it is packed. */
struct launch_stdio {
	Cella__Agent__Stdio message;
	Cella__Agent__Preserved preserved[PRESERVED_MAX], *list[PRESERVED_MAX];
};
void launch_fill_stdio(struct launch_stdio *stdio, const struct standin_job *job);
void launch_fill_seccomp(Cella__Agent__SeccompFilter *filter, const struct seccomp_program *program);

/* A request as bytes, owned by the caller, or NULL. */
uint8_t *launch_pack(const ProtobufCMessage *message, size_t *ret_len, struct err *err);

/* standin_spawn with the process's args as argv. */
int launch_spawn_standin(struct standin_job *job, const void *request, const int stdio[3], const json_t *process,
			 const json_t *config, const struct host_cgroup *cgroup, pid_t *ret_pid, struct err *err) must_check;

/* path may be NULL: nothing to do. */
int launch_write_pid_file(const char *path, pid_t pid, struct err *err) must_check;

#endif
