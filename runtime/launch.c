/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Creating containers. Order matters for a creator that is killed on the way:
 *
 *   1. the directory		from here on `delete --force` finds it
 *   2. the VMM			dies with us: we hold its owner pipe
 *   3. the stand-in		dies with us until it is committed; then it holds the owner pipe
 *   4. state.json, pid file	the container exists for others
 *   5. the commit byte		the stand-in lives on without us
 */
#include "runtime/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/proto/agent.pb-c.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/json.h"
#include "lib/log.h"
#include "runtime/agent_client.h"
#include "runtime/hooks.h"
#include "runtime/host_cgroup.h"
#include "runtime/network.h"
#include "runtime/pod.h"
#include "runtime/seccomp.h"
#include "runtime/settings.h"
#include "runtime/share.h"
#include "runtime/spec.h"
#include "runtime/standin.h"
#include "runtime/terminal.h"
#include "runtime/vm.h"
#include "runtime/vm_control.h"

#define SPARE_NOTE "spare-network" /* in the container's directory: the MAC address of the device that waits for a link */
#define KILL_TIMEOUT_MS 10000

/* Everything of a container that is being created; cleaned up as a whole. */
struct creation {
	struct runtime *runtime;
	const struct launch_options *options;
	bool foreground;
	struct settings settings;
	char bundle[PATH_MAX];
	json_t *config;
	char *config_text;
	size_t config_len;
	struct state state;
	bool has_directory;
	struct pod pod;
	char share_prefix[SHARE_PREFIX_MAX];
	struct share_list shares;
	pid_t cgroup_holder; /* in the container's cgroup until the stand-in is; 0: none */
	pid_t holder; /* in the container's network namespace while hooks need one there; 0: none */
	struct network network;
	struct seccomp_program seccomp;
	struct vm_process vm;
	struct host_cgroup cgroup;
	struct pty pty;
	pid_t standin;
	int report;
};

static bool is_dev_null(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

/* Options that cannot work in a VM are refused, those without a meaning here are accepted. */
static int check_options(const struct launch_options *options, struct err *err)
{
	if (options->preserve_fds > 0)
		return err_msg(err, ENOTSUP, "option --preserve-fds: descriptors of the host cannot be passed into a VM");
	if (options->pidfd_socket)
		return err_msg(err, ENOTSUP, "option --pidfd-socket is not supported");
	return 0;
}

static int check_terminal(const struct launch_options *options, const json_t *process, bool foreground, struct err *err)
{
	bool terminal = json_get_bool(process, "terminal", false);

	if (terminal && !options->console_socket && !foreground)
		return err_msg(err, EINVAL, "process.terminal is true: a detached container needs --console-socket");
	if (!terminal && options->console_socket)
		return err_msg(err, EINVAL, "option --console-socket is of no use: process.terminal is not true");
	return 0;
}

static int load(struct creation *c, const char *id, struct err *err)
{
	const char *bundle = c->options->bundle ? c->options->bundle : ".";

	if (!realpath(bundle, c->bundle))
		return err_set(err, errno, "bundle %s", bundle);
	c->config = spec_load(c->bundle, c->options->config_file, &c->config_text, &c->config_len, err);
	if (!c->config || check_terminal(c->options, json_object_get(c->config, "process"), c->foreground, err) < 0)
		return -err->code;
	if (settings_load(&c->settings, c->runtime->config_path, err) < 0 ||
	    seccomp_compile(json_object_get(json_object_get(c->config, "linux"), "seccomp"), c->runtime->root, &c->seccomp,
			    err) < 0)
		return -err->code;
	if (pod_find(&c->pod, c->runtime->root, c->config, err) < 0)
		return -err->code;
	if (*c->pod.vm_owner)
		pod_share_prefix(id, c->share_prefix);
	return share_open_all(&c->shares, c->share_prefix, c->bundle, c->config, err);
}

static int make_directory(struct creation *c, const char *id, struct err *err)
{
	if (state_create(&c->state, c->runtime->root, id, err) < 0) {
		c->has_directory = c->state.dirfd >= 0;
		return -err->code;
	}
	c->has_directory = true;
	return io_replace_file(c->state.dirfd, "config.json", c->config_text, c->config_len, 0600, err);
}

/* The state that hooks of create are told: `cella state` has none yet. */
static json_t *creating_state(const struct creation *c)
{
	json_t *annotations = json_object_get(c->config, "annotations");
	json_t *state = json_pack("{s:s, s:s, s:s, s:i, s:s}", "ociVersion", RUNTIME_OCI_VERSION, "id", c->state.id, "status",
				  status_names[STATUS_CREATING], "pid", (int)c->holder, "bundle", c->bundle);

	if (state && annotations)
		json_object_set(state, "annotations", annotations);
	return state;
}

/*
 * Docker's network comes with these hooks: they look for a network namespace behind the pid that they are told. So it is
 * made before the VM, which then finds what they have put into it.
 */
static int run_create_hooks(struct creation *c, struct err *err)
{
	const char *path = network_namespace_path(c->config);
	char own[64];
	json_t *state;
	int ret;

	if (!hooks_exist(c->config, "prestart") && !hooks_exist(c->config, "createRuntime"))
		return 0;
	c->holder = network_hold(path ? path : network_is_new(c->config) ? NULL : "", err);
	if (c->holder < 0)
		return (int)c->holder;
	snprintf(own, sizeof(own), "/proc/%d/ns/net", (int)c->holder);
	network_set_namespace_path(c->config, own);
	state = creating_state(c);
	ret = hooks_run(c->config, "prestart", state, c->bundle, err);
	if (ret == 0)
		ret = hooks_run(c->config, "createRuntime", state, c->bundle, err);
	json_decref(state);
	return ret;
}

/*
 * podman gives a container with a user namespace of its own the network after create: into the stand-in's namespace. That
 * is made now, with a tap in it for the link that will come.
 */
static bool network_comes_later(const json_t *config)
{
	return network_is_new(config) && spec_wants_new_namespace(config, "user");
}

static int prepare_spare(struct creation *c, struct err *err)
{
	char own[64], note[32];
	const uint8_t *mac = c->network.links[0].mac;
	int n;

	c->holder = network_hold(NULL, err);
	if (c->holder < 0)
		return (int)c->holder;
	snprintf(own, sizeof(own), "/proc/%d/ns/net", (int)c->holder);
	network_set_namespace_path(c->config, own);
	if (network_make_spare(&c->network, own, err) < 0)
		return -err->code;
	n = snprintf(note, sizeof(note), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	return io_replace_file(c->state.dirfd, SPARE_NOTE, note, (size_t)n, 0600, err);
}

static int start_vm(struct creation *c, struct err *err)
{
	struct vm_start start = {
		.runtime = c->runtime,
		.settings = &c->settings,
		.state = &c->state,
		.config = c->config,
		.shares = &c->shares,
		.network = &c->network,
		.cgroup = &c->cgroup,
	};
	int ret = network_comes_later(c->config) ? prepare_spare(c, err) :
						   network_take_over(&c->network, network_namespace_path(c->config), err);

	if (network_is_the_hosts(c->config))
		log_warn("linux.namespaces: the host's network cannot be shared with a VM: the container has a loopback interface only");
	if (ret == 0)
		ret = vm_start(&start, &c->vm, err);

	c->state.vm_memory_mib = vm_memory_mib(&c->settings, json_object_get(json_object_get(c->config, "linux"), "resources"));
	/* Also of one that was not started to the end: it has to be gone before its cgroup can be removed. */
	if (c->vm.pid > 0 && process_identify(c->vm.pid, &c->state.vmm) < 0 && ret == 0)
		return err_msg(err, EIO, "the VMM died at once");
	return ret;
}

/* The container becomes one more in a VM that runs. */
static int join_vm(struct creation *c, struct err *err)
{
	struct state owner;
	pid_t holder;
	int ret = state_open(&owner, c->runtime->root, c->pod.vm_owner, err);

	c->state.vm_memory_mib = owner.vm_memory_mib;
	state_close(&owner);
	if (ret < 0)
		return ret;
	if (state_join_vm(&c->state, c->runtime->root, c->pod.vm_owner, err) < 0)
		return -err->code;
	for (size_t i = 0; i < c->shares.n; i++)
		if (vm_control_add_share(c->state.vm_dir, c->shares.shares[i].name, c->shares.shares[i].fd, err) < 0)
			return err_wrap(err, "share with the VM of %s", c->pod.vm_owner);
	/* A cgroup is made around a process; the stand-in, whose it is to be, is born into it. */
	holder = network_hold("", err);
	if (holder < 0)
		return holder;
	ret = host_cgroup_create(&c->cgroup, c->runtime, c->config, c->state.id, c->state.dirfd, holder,
				 c->state.vm_memory_mib, err);
	c->cgroup_holder = holder;
	return ret;
}

/* The descriptors that the stand-in gets as 0, 1, 2, and the master where it is to go. */
static int set_up_streams(const struct launch_options *options, const json_t *process, struct pty *pty, int stdio[3],
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

static int make_report_socket(struct standin_job *job, int *ret_ours, struct err *err)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(err, errno, "create a socket pair");
	*ret_ours = pair[0];
	job->report = pair[1];
	return 0;
}

static void fill_stdio(Cella__Agent__Stdio *stdio, const struct standin_job *job)
{
	cella__agent__stdio__init(stdio);
	stdio->token = (char *)job->token;
	stdio->stdin = job->streams[0];
	stdio->stdout = job->streams[1];
	stdio->stderr = job->streams[2];
}

static void fill_seccomp(Cella__Agent__SeccompFilter *filter, const struct seccomp_program *program)
{
	cella__agent__seccomp_filter__init(filter);
	filter->program.data = program->code;
	filter->program.len = program->len;
	filter->flags = program->flags;
}

static uint8_t *pack(const ProtobufCMessage *message, size_t *ret_len, struct err *err)
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

static uint8_t *create_request(struct creation *c, struct standin_job *job, struct err *err)
{
	Cella__Agent__CreateContainerRequest request = CELLA__AGENT__CREATE_CONTAINER_REQUEST__INIT;
	Cella__Agent__SharedMount mounts[SHARES_MAX], *list[SHARES_MAX];
	Cella__Agent__SharedNamespace namespaces[POD_NAMESPACES_MAX], *namespace_list[POD_NAMESPACES_MAX];
	Cella__Agent__SeccompFilter seccomp;
	Cella__Agent__Stdio stdio;

	for (size_t i = 0; i < c->shares.n; i++) {
		const struct share *share = &c->shares.shares[i];

		if (share->mount_index < 0) {
			request.rootfs_share = (char *)share->name;
			continue;
		}
		cella__agent__shared_mount__init(&mounts[i]);
		mounts[i].index = (uint32_t)share->mount_index;
		mounts[i].share = (char *)share->name;
		mounts[i].is_file = share->is_file;
		list[request.n_mounts++] = &mounts[i];
	}
	request.mounts = list;
	request.id = c->state.id;
	request.config.data = (uint8_t *)c->config_text;
	request.config.len = c->config_len;
	fill_stdio(&stdio, job);
	fill_seccomp(&seccomp, &c->seccomp);
	request.stdio = &stdio;
	request.seccomp = &seccomp;
	request.network = c->network.message;
	for (size_t i = 0; i < c->pod.n; i++) {
		cella__agent__shared_namespace__init(&namespaces[i]);
		namespaces[i].type = (char *)c->pod.namespaces[i].type;
		namespaces[i].container = c->pod.namespaces[i].container;
		namespace_list[request.n_namespaces++] = &namespaces[i];
	}
	request.namespaces = namespace_list;
	request.own_network = c->pod.own_network;
	return pack(&request.base, &job->request_len, err);
}

/* The container's argv as the stand-in's, for ps. The strings stay the config's. */
static char **standin_argv(const json_t *process)
{
	return (char **)json_string_list(json_object_get(process, "args"));
}

static int spawn_standin(struct standin_job *job, const void *request, const int stdio[3], const json_t *process,
			 const json_t *config, const struct host_cgroup *cgroup, pid_t *ret_pid, struct err *err)
{
	auto_free char **argv = standin_argv(process);

	if (!argv)
		return err_set(err, ENOMEM, "stand-in");
	*ret_pid = standin_spawn(job, request, stdio, argv, config, cgroup->managed ? &cgroup->cgroup : NULL, err);
	return *ret_pid < 0 ? -err->code : 0;
}

static int start_standin(struct creation *c, struct err *err)
{
	const json_t *process = json_object_get(c->config, "process");
	auto_fd pidfd = c->vm.pid > 0 ? (int)syscall(SYS_pidfd_open, c->vm.pid, 0) : -1;
	auto_fd report = -1, memory_max = -1;
	auto_free struct standin_job *job = calloc(1, sizeof(*job));
	auto_free uint8_t *request = NULL;
	int stdio[3];

	if (!job || (pidfd < 0 && c->vm.pid > 0))
		return err_set(err, job ? errno : ENOMEM, "stand-in");
	if (make_report_socket(job, &c->report, err) < 0)
		return -err->code;
	report = job->report;
	job->owner = c->vm.owner;
	job->ready = c->vm.ready;
	job->vmm_pidfd = pidfd;
	job->boot_timeout_ms = (int)c->settings.boot_timeout_s * 1000;
	strcpy(job->vm_dir, c->state.vm_dir);
	strcpy(job->directory, c->state.directory);
	strcpy(job->bundle, c->bundle);
	job->own_mounts = spec_wants_new_namespace(c->config, "mount");
	memory_max = job->memory_max = host_cgroup_open_memory_max(&c->cgroup);
	if (c->cgroup.managed)
		job->cgroup = c->cgroup.cgroup;
	strcpy(job->id, c->state.id);
	if (agent_make_token(job->token, err) < 0 || set_up_streams(c->options, process, &c->pty, stdio, job, err) < 0)
		return -err->code;
	request = create_request(c, job, err);
	if (!request || spawn_standin(job, request, stdio, process, c->config, &c->cgroup, &c->standin, err) < 0)
		return -err->code;
	close(fd_take(&report)); /* the stand-in's copy is the last: its death ends our wait */
	if (standin_wait_ready(c->report, err) < 0)
		return -err->code;
	return process_identify(c->standin, &c->state.standin) < 0 ? err_msg(err, EIO, "the stand-in died") : 0;
}

static int write_pid_file(const char *path, pid_t pid, struct err *err)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d", (int)pid);

	return path ? io_replace_file(AT_FDCWD, path, text, (size_t)n, 0644, err) : 0;
}

static int commit(struct creation *c, struct err *err)
{
	if (state_commit(&c->state, c->bundle, c->config, err) < 0 ||
	    write_pid_file(c->options->pid_file, c->standin, err) < 0)
		return -err->code;
	return standin_commit(c->report, err);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void end_holder(pid_t *holder)
{
	kill(*holder, SIGKILL);
	waitpid(*holder, NULL, 0);
	*holder = 0;
}

static void undo(struct creation *c)
{
	struct process_id standin;
	struct err ignored;

	/* Nobody owns the VM any more: it ends by itself; the wait is for the directory. */
	close_fd(&c->vm.owner);
	if (c->standin > 0 && process_identify(c->standin, &standin) == 0)
		process_kill_wait(&standin, KILL_TIMEOUT_MS);
	process_kill_wait(&c->state.vmm, KILL_TIMEOUT_MS);
	if (c->cgroup_holder > 0)
		end_holder(&c->cgroup_holder);
	network_release(&c->network);
	if (host_cgroup_remove(&c->cgroup, &ignored) < 0)
		log_warn("%s", ignored.msg);
	if (!state_owns_vm(&c->state) ? pod_leave(&c->state, c->config, &ignored) < 0 :
					network_give_back(network_namespace_path(c->config), &ignored) < 0)
		log_warn("%s", ignored.msg);
	if (c->has_directory && state_remove(&c->state, &ignored) < 0)
		log_warn("%s", ignored.msg);
	if (c->options->pid_file)
		unlink(c->options->pid_file);
}

static void release(struct creation *c)
{
	if (c->holder > 0)
		end_holder(&c->holder);
	if (c->cgroup_holder > 0)
		end_holder(&c->cgroup_holder);
	share_close_all(&c->shares);
	network_release(&c->network);
	state_close(&c->state);
	json_decref(c->config);
	free(c->config_text);
	free(c->seccomp.code);
	close_fd(&c->vm.owner);
	close_fd(&c->vm.ready);
	close_fd(&c->pty.slave);
	close_fd(&c->pty.master);
	close_fd(&c->report);
	free(c);
}

int launch_container(struct runtime *runtime, const struct launch_options *options, const char *id, bool foreground,
		     struct launched *launched, struct err *err)
{
	struct creation *c = calloc(1, sizeof(*c));
	int ret;

	if (!c)
		return err_set(err, ENOMEM, "create");
	c->runtime = runtime;
	c->options = options;
	c->foreground = foreground;
	c->state.dirfd = c->vm.owner = c->vm.ready = c->pty.master = c->pty.slave = c->report = -1;
	ret = check_options(options, err);
	if (ret == 0)
		ret = state_check_id(id, err);
	if (ret == 0)
		ret = load(c, id, err);
	if (ret == 0)
		ret = make_directory(c, id, err);
	if (ret == 0)
		ret = run_create_hooks(c, err);
	if (ret == 0)
		ret = *c->pod.vm_owner ? join_vm(c, err) : start_vm(c, err);
	if (ret == 0)
		ret = start_standin(c, err);
	if (ret == 0)
		ret = commit(c, err);
	if (ret == 0) {
		launched->pid = c->standin;
		launched->master = options->console_socket ? -1 : fd_take(&c->pty.master);
	} else if (c->has_directory) {
		undo(c);
	}
	release(c);
	return ret;
}

static uint8_t *exec_request(const struct standin_job *job, const json_t *process, const struct seccomp_program *program,
			     size_t *ret_len, struct err *err)
{
	Cella__Agent__ExecProcessRequest request = CELLA__AGENT__EXEC_PROCESS_REQUEST__INIT;
	auto_free char *text = json_dumps(process, JSON_COMPACT);
	Cella__Agent__SeccompFilter seccomp;
	Cella__Agent__Stdio stdio;

	if (!text) {
		err_set(err, ENOMEM, "exec");
		return NULL;
	}
	fill_stdio(&stdio, job);
	fill_seccomp(&seccomp, program);
	request.id = (char *)job->id;
	request.exec_id = (char *)job->exec_id;
	request.process.data = (uint8_t *)text;
	request.process.len = strlen(text);
	request.seccomp = &seccomp;
	request.stdio = &stdio;
	return pack(&request.base, ret_len, err);
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
	if (host_cgroup_load(&e->cgroup, state->dirfd, err) < 0 || make_report_socket(&e->job, &e->report, err) < 0)
		return -err->code;
	report = e->job.report;
	if (agent_make_token(e->job.token, err) < 0 || set_up_streams(options, process, &e->pty, stdio, &e->job, err) < 0)
		return -err->code;
	/* Unique in the guest for as long as it lives. */
	snprintf(e->job.exec_id, sizeof(e->job.exec_id), "exec-%s", e->job.token);
	request = exec_request(&e->job, process, &e->seccomp, &e->job.request_len, err);
	if (!request || spawn_standin(&e->job, request, stdio, process, NULL, &e->cgroup, &e->pid, err) < 0)
		return -err->code;
	close(fd_take(&report));
	if (standin_wait_ready(e->report, err) < 0 || write_pid_file(options->pid_file, e->pid, err) < 0)
		return -err->code;
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
	ret = check_options(options, err);
	if (ret == 0)
		ret = check_terminal(options, process, foreground, err);
	if (ret == 0)
		ret = seccomp_compile(seccomp, runtime->root, &e->seccomp, err);
	if (ret == 0)
		ret = run_exec(e, state, process, options, err);
	if (ret == 0) {
		launched->pid = e->pid;
		launched->master = options->console_socket ? -1 : fd_take(&e->pty.master);
	}
	close_fd(&e->report);
	close_fd(&e->pty.master);
	close_fd(&e->pty.slave);
	free(e->seccomp.code);
	return ret;
}

/* config.md, "Poststart": one that fails is worth a warning, and the container goes on. */
static void run_poststart_hooks(struct state *state)
{
	struct err err;
	json_t *config = state_load_config(state, &err), *document;

	if (config && hooks_exist(config, "poststart")) {
		state->status = STATUS_RUNNING;
		document = state_to_json(state);
		if (hooks_run(config, "poststart", document, json_get_string(document, "bundle", "/"), &err) < 0)
			log_warn("%s", err.msg);
		json_decref(document);
	}
	json_decref(config);
}

/* The link that an engine has added since create. */
static int use_spare(const struct state *state, struct err *err)
{
	auto_free char *note = io_read_file(state->dirfd, SPARE_NOTE, 64, NULL, err);
	struct network network;
	char path[64];
	uint8_t mac[6];
	int ret;

	if (!note)
		return err->code == ENOENT ? 0 : -err->code;
	if (sscanf(note, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4], &mac[5]) != 6)
		return err_msg(err, EINVAL, "%s: '%s' is no MAC address", SPARE_NOTE, note);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)state->standin.pid);
	ret = network_use_spare(&network, path, mac, err);
	if (ret == 0 && network.message)
		ret = agent_call_once(state->vm_dir, "SetUpNetwork", &network.message->base, &cella__agent__empty__descriptor,
				      NULL, err);
	network_release(&network);
	return ret;
}

int launch_start(struct state *state, struct err *err)
{
	Cella__Agent__ProcessRef request = CELLA__AGENT__PROCESS_REF__INIT;

	if (state->status != STATUS_CREATED)
		return err_msg(err, EINVAL, "cannot start container %s in the %s state", state->id,
			       status_names[state->status]);
	if (use_spare(state, err) < 0)
		return -err->code;
	request.id = state->id;
	/* The flag first: a process that ends at once must not be found "created". */
	if (state_set_flag(state, "started", true, err) < 0)
		return -err->code;
	if (agent_call_once(state->vm_dir, "StartContainer", &request.base, &cella__agent__empty__descriptor, NULL, err) < 0)
		return -err->code;
	run_poststart_hooks(state);
	return 0;
}

int launch_exit_status(const struct err *err)
{
	if (strstr(err->msg, "exec: \""))
		return err->code == ENOENT ? 127 : 126;
	return 1;
}
