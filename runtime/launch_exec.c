/* SPDX-License-Identifier: Apache-2.0 */
/* A further process in a running container. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/log.h"
#include "runtime/agent_client.h"
#include "runtime/launch_process.h"

static uint8_t *exec_request(const struct standin_job *job, const json_t *process, const struct seccomp_program *program,
			     const char *cgroup, size_t *ret_len, struct err *err)
{
	Cella__Agent__ExecProcessRequest request = CELLA__AGENT__EXEC_PROCESS_REQUEST__INIT;
	auto_free char *text = json_dumps(process, JSON_COMPACT);
	Cella__Agent__SeccompFilter seccomp;
	struct launch_stdio stdio;

	if (!text) {
		err_set(err, ENOMEM, "exec");
		return NULL;
	}
	launch_fill_stdio(&stdio, job);
	launch_fill_seccomp(&seccomp, program);
	request.id = (char *)job->id;
	request.exec_id = (char *)job->exec_id;
	request.process.data = (uint8_t *)text;
	request.process.len = strlen(text);
	request.seccomp = &seccomp;
	request.cgroup = (char *)(cgroup ? cgroup : "");
	request.stdio = &stdio.message;
	return launch_pack(&request.base, ret_len, err);
}

struct exec_launch {
	struct standin_job job;
	struct seccomp_program seccomp;
	struct host_cgroup cgroup;
	struct pty pty;
	int report;
	pid_t pid;
};

static int run_exec(struct exec_launch *e, const struct state *state, const json_t *process,
		    const struct launch_options *options, struct err *err)
{
	auto_free uint8_t *request = NULL;
	auto_fd report = -1;
	int stdio[3];

	e->job.owner = e->job.ready = e->job.vmm_pidfd = e->job.memory_max = -1;
	strcpy(e->job.vm_dir, state->vm_dir);
	strcpy(e->job.directory, state->directory);
	strcpy(e->job.id, state->id);
	if (host_cgroup_load(&e->cgroup, state->dirfd, err) < 0 || launch_make_report_socket(&e->job, &e->report, err) < 0)
		return -err->code;
	report = e->job.report;
	if (agent_make_token(e->job.token, err) < 0 || launch_set_up_streams(options, process, &e->pty, stdio, &e->job, err) < 0)
		return -err->code;
	/* Unique in the guest for as long as it lives. */
	snprintf(e->job.exec_id, sizeof(e->job.exec_id), "exec-%s", e->job.token);
	request = exec_request(&e->job, process, &e->seccomp, options->cgroup, &e->job.request_len, err);
	if (!request || launch_spawn_standin(&e->job, request, stdio, process, NULL, &e->cgroup, &e->pid, err) < 0)
		return -err->code;
	close(fd_take(&report));
	if (standin_wait_ready(e->report, err) < 0 || launch_write_pid_file(options->pid_file, e->pid, err) < 0)
		return -err->code;
	log_debug("container %s: process %s runs, stand-in %d", e->job.id, e->job.exec_id, (int)e->pid);
	return standin_commit(e->report, err);
}

int launch_exec(const struct state *state, const json_t *process, const json_t *seccomp, const struct runtime *runtime,
		const struct launch_options *options, bool foreground, struct launched *launched, struct err *err)
{
	auto_free struct exec_launch *e = calloc(1, sizeof(*e));
	int ret;

	if (!e)
		return err_set(err, ENOMEM, "exec");
	e->report = e->pty.master = e->pty.slave = -1;
	ret = launch_check_options(options, &e->job.preserved, err);
	if (ret == 0)
		ret = launch_check_terminal(options, process, foreground, err);
	if (ret == 0)
		ret = seccomp_compile(seccomp, runtime->root, &e->seccomp, err);
	if (ret == 0)
		ret = run_exec(e, state, process, options, err);
	if (ret == 0) {
		launched->pid = e->pid;
		launched->master = options->console_socket ? -1 : fd_take(&e->pty.master);
	}
	fd_close(&e->report);
	fd_close(&e->pty.master);
	fd_close(&e->pty.slave);
	free(e->seccomp.code);
	return ret;
}
