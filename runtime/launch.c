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
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/proto/agent.pb-c.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/hooks.h"
#include "lib/json.h"
#include "lib/log.h"
#include "runtime/agent_client.h"
#include "runtime/host_cgroup.h"
#include "runtime/host_sockets.h"
#include "runtime/launch_process.h"
#include "runtime/limits.h"
#include "runtime/network.h"
#include "runtime/notify_socket.h"
#include "runtime/pod.h"
#include "runtime/preserve.h"
#include "runtime/seccomp.h"
#include "runtime/settings.h"
#include "runtime/share.h"
#include "runtime/spec.h"
#include "runtime/standin.h"
#include "runtime/terminal.h"
#include "runtime/vm.h"
#include "runtime/vm_control.h"
#include "runtime/vm_section.h"

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
	struct disk_list disks;
	struct seccomp_program seccomp;
	struct preserved_fds preserved;
	struct vm_process vm;
	struct host_cgroup cgroup;
	struct pty pty;
	pid_t standin;
	int report;
};

/* After a change of ours to config.json. */
static int write_config_text(struct creation *c, struct err *err)
{
	free(c->config_text);
	c->config_text = json_dumps(c->config, JSON_COMPACT);
	c->config_len = c->config_text ? strlen(c->config_text) : 0;
	return c->config_text ? 0 : err_set(err, ENOMEM, "config.json");
}

static int load(struct creation *c, const char *id, struct err *err)
{
	const char *bundle = c->options->bundle ? c->options->bundle : ".";
	int ret;

	if (!realpath(bundle, c->bundle))
		return err_set(err, errno, "bundle %s", bundle);
	c->config = spec_load(c->bundle, c->options->config_file, &c->config_text, &c->config_len, err);
	if (!c->config || launch_check_terminal(c->options, json_object_get(c->config, "process"), c->foreground, err) < 0)
		return -err->code;
	if (pod_drop_own_namespaces(c->config) > 0 && write_config_text(c, err) < 0)
		return -err->code;
	if (settings_load(&c->settings, c->runtime->config_path, err) < 0 ||
	    seccomp_compile(json_object_get(json_object_get(c->config, "linux"), "seccomp"), c->runtime->root, &c->seccomp,
			    err) < 0)
		return -err->code;
	if (pod_find(&c->pod, c->runtime->root, c->config, err) < 0 ||
	    vm_section_apply(c->config, !*c->pod.vm_owner, &c->settings, err) < 0)
		return -err->code;
	if (*c->pod.vm_owner)
		pod_share_prefix(id, c->share_prefix);
	if (share_open_all(&c->shares, c->share_prefix, c->bundle, c->config, err) < 0)
		return -err->code;
	ret = notify_socket_share(c->bundle, c->config, &c->shares, err);
	return ret > 0 ? write_config_text(c, err) : ret;
}

/* sd_listen_fds(3): the container's process is told as systemd would tell it; it is number 1 of its namespace. */
static int announce_listen_fds(struct creation *c, struct err *err)
{
	json_t *environment = json_object_get(json_object_get(c->config, "process"), "env");
	long n = preserve_listen_fds();
	char variable[32];

	if (n == 0)
		return 0;
	if (!environment) {
		environment = json_array();
		json_object_set_new(json_object_get(c->config, "process"), "env", environment);
	}
	snprintf(variable, sizeof(variable), "LISTEN_FDS=%ld", n);
	json_array_append_new(environment, json_string(variable));
	json_array_append_new(environment, json_string("LISTEN_PID=1"));
	return write_config_text(c, err);
}

/*
 * crun's annotation, which podman's --group-add keep-groups sets: our own groups, too. The file server is in them as we are, so
 * that is what files are served by; in the guest they make group permissions mean the same.
 */
static bool keeps_groups(const struct creation *c)
{
	return !strcmp(json_get_string(json_object_get(c->config, "annotations"), "run.oci.keep_original_groups", "0"), "1");
}

static int keep_groups(struct creation *c, struct err *err)
{
	json_t *user = json_object_get(json_object_get(c->config, "process"), "user");
	json_t *list = json_object_get(user, "additionalGids");
	auto_free gid_t *groups = NULL;
	int n;

	if (!keeps_groups(c))
		return 0;
	n = getgroups(0, NULL);
	groups = calloc((size_t)n + 1, sizeof(*groups));
	n = groups ? getgroups(n, groups) : -1;
	if (n < 0 || !user)
		return err_set(err, n < 0 ? errno : EINVAL, "annotation run.oci.keep_original_groups");
	if (!list) {
		list = json_array();
		json_object_set_new(user, "additionalGids", list);
	}
	for (int i = 0; i < n; i++)
		json_array_append_new(list, json_integer(groups[i]));
	return write_config_text(c, err);
}

static int inherit_limits(struct creation *c, struct err *err)
{
	return limits_inherit(json_object_get(c->config, "process"), err) < 0 ? -err->code : write_config_text(c, err);
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

static int start_vm(struct creation *c, struct err *err)
{
	struct vm_start start = {
		.runtime = c->runtime,
		.settings = &c->settings,
		.state = &c->state,
		.config = c->config,
		.shares = &c->shares,
		.network = &c->network,
		.disks = &c->disks,
		.cgroup = &c->cgroup,
	};
	int ret = network_take_over(&c->network, network_namespace_path(c->config), err);

	if (network_is_the_hosts(c->config))
		log_warn("linux.namespaces: the host's network cannot be shared with a VM: the container has a loopback interface only");
	if (ret == 0)
		ret = disks_open(&c->disks, "cella", c->config, err);
	if (ret == 0)
		ret = vm_start(&start, &c->vm, err);

	c->state.vm_memory_mib = vm_memory_mib(&c->settings, json_object_get(json_object_get(c->config, "linux"), "resources"));
	/* Also of one that was not started to the end: it has to be gone before its cgroup can be removed. */
	if (c->vm.pid > 0 && process_identify(c->vm.pid, &c->state.vmm) < 0 && ret == 0)
		return err_msg(err, EIO, "the VMM died at once");
	return ret;
}

/* What the container has on the host comes into the VM: its shares, and its disks. */
static int hand_over(struct creation *c, struct err *err)
{
	const char *vm_dir = c->state.vm_dir;

	for (size_t i = 0; i < c->shares.n; i++)
		if (vm_control_add_share(vm_dir, c->shares.shares[i].name, c->shares.shares[i].fd, err) < 0)
			return err_wrap(err, "share with the VM of %s", c->pod.vm_owner);
	if (disks_open(&c->disks, c->share_prefix, c->config, err) < 0)
		return -err->code;
	for (size_t i = 0; i < c->disks.n; i++)
		if (vm_control_add_disk(vm_dir, c->disks.disks[i].id, c->disks.disks[i].fd, err) < 0)
			return err_wrap(err, "%s: a disk for the VM of %s", disks_field(&c->disks.disks[i]), c->pod.vm_owner);
	return 0;
}

/* A network of its own in that VM, with what the namespace on the host has by now; the stand-in follows it from then on. */
static int hand_over_network(struct creation *c, struct err *err)
{
	auto_fd control = -1;
	int ret = state_take_network(&c->state, err);

	if (ret == 0)
		ret = network_take_over(&c->network, network_namespace_path(c->config), err);
	if (ret == 0 && c->network.n > 0) {
		control = vm_control_open(c->state.vm_dir, err);
		ret = control < 0 ? control : 0;
	}
	for (size_t i = 0; i < c->network.n && ret == 0; i++)
		ret = vm_control_add_net(control, c->share_prefix, c->network.links[i].mac, c->network.links[i].tap, err);
	return ret < 0 ? err_wrap(err, "linux.namespaces: a network in the VM of %s", c->pod.vm_owner) : 0;
}

/* The container becomes one more in a VM that runs. */
static int join_vm(struct creation *c, struct err *err)
{
	struct state owner;
	pid_t holder;
	int ret = state_open(&owner, c->runtime->root, c->pod.vm_owner, err);

	c->state.vm_memory_mib = owner.vm_memory_mib;
	state_close(&owner);
	if (ret == 0)
		ret = state_join_vm(&c->state, c->runtime->root, c->pod.vm_owner, err);
	if (ret == 0)
		ret = hand_over(c, err);
	if (ret == 0 && c->pod.own_network)
		ret = hand_over_network(c, err);
	if (ret == 0 && c->pod.network)
		ret = state_share_network(&c->state, c->pod.network, err);
	if (ret < 0)
		return ret;
	/* A cgroup is made around a process; the stand-in, whose it is to be, is born into it. */
	holder = network_hold("", err);
	if (holder < 0)
		return holder;
	ret = host_cgroup_create(&c->cgroup, c->runtime, c->config, c->state.id, c->state.dirfd, holder,
				 c->state.vm_memory_mib, err);
	c->cgroup_holder = holder;
	return ret;
}

static uint8_t *create_request(struct creation *c, struct standin_job *job, struct err *err)
{
	Cella__Agent__CreateContainerRequest request = CELLA__AGENT__CREATE_CONTAINER_REQUEST__INIT;
	Cella__Agent__SharedMount mounts[SHARES_MAX], *list[SHARES_MAX];
	Cella__Agent__SharedNamespace namespaces[POD_NAMESPACES_MAX], *namespace_list[POD_NAMESPACES_MAX];
	Cella__Agent__Disk disks[DISKS_MAX], *disk_list[DISKS_MAX];
	Cella__Agent__SeccompFilter seccomp;
	Cella__Agent__HostSocket sockets[SHARES_MAX];
	struct launch_stdio stdio;

	for (size_t i = 0; i < c->shares.n; i++) {
		const struct share *share = &c->shares.shares[i];

		if (share->mount_index < 0) {
			request.rootfs_share = (char *)share->path;
			continue;
		}
		cella__agent__shared_mount__init(&mounts[i]);
		mounts[i].index = (uint32_t)share->mount_index;
		mounts[i].share = (char *)share->path;
		mounts[i].is_file = share->is_file;
		mounts[i].socket = host_sockets_describe(job, share, &sockets[i]) ? &sockets[i] : NULL;
		list[request.n_mounts++] = &mounts[i];
	}
	request.mounts = list;
	request.sockets_port = job->sockets_port;
	request.id = c->state.id;
	request.config.data = (uint8_t *)c->config_text;
	request.config.len = c->config_len;
	launch_fill_stdio(&stdio, job);
	launch_fill_seccomp(&seccomp, &c->seccomp);
	request.stdio = &stdio.message;
	request.seccomp = &seccomp;
	request.network = c->network.message;
	for (size_t i = 0; i < c->pod.n; i++) {
		cella__agent__shared_namespace__init(&namespaces[i]);
		namespaces[i].type = (char *)c->pod.namespaces[i].type;
		namespaces[i].container = c->pod.namespaces[i].container;
		namespace_list[request.n_namespaces++] = &namespaces[i];
	}
	request.namespaces = namespace_list;
	for (size_t i = 0; i < c->disks.n; i++) {
		cella__agent__disk__init(&disks[i]);
		disks[i].index = (uint32_t)c->disks.disks[i].index;
		disks[i].id = c->disks.disks[i].id;
		disks[i].place = c->disks.disks[i].place;
		disk_list[request.n_disks++] = &disks[i];
	}
	request.disks = disk_list;
	request.own_network = c->pod.own_network ? c->state.network : 0;
	request.bundle = (char *)c->bundle;
	return launch_pack(&request.base, &job->request_len, err);
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
	if (launch_make_report_socket(job, &c->report, err) < 0)
		return -err->code;
	report = job->report;
	job->preserved = c->preserved;
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
	if (c->vm.pid > 0) {
		job->memory_mib = c->state.vm_memory_mib;
		job->growth_mib = vm_growth_mib(&c->settings, job->memory_mib);
		job->follow_network = !network_is_the_hosts(c->config);
	} else if (c->pod.own_network) {
		job->follow_network = true;
		job->network = c->state.network;
	}
	job->forward_ports = job->follow_network && network_forwards_ports(&c->network, c->config);
	job->keep_groups = keeps_groups(c);
	strcpy(job->id, c->state.id);
	if (agent_make_token(job->token, err) < 0 || launch_set_up_streams(c->options, process, &c->pty, stdio, job, err) < 0)
		return -err->code;
	request = host_sockets_find(job, &c->shares, err) < 0 ? NULL : create_request(c, job, err);
	if (!request || launch_spawn_standin(job, request, stdio, process, c->config, &c->cgroup, &c->standin, err) < 0)
		return -err->code;
	close(fd_take(&report)); /* the stand-in's copy is the last: its death ends our wait */
	if (standin_wait_ready(c->report, err) < 0)
		return -err->code;
	return process_identify(c->standin, &c->state.standin) < 0 ? err_msg(err, EIO, "the stand-in died") : 0;
}

static int commit(struct creation *c, struct err *err)
{
	if (state_commit(&c->state, c->bundle, c->config, err) < 0 ||
	    launch_write_pid_file(c->options->pid_file, c->standin, err) < 0)
		return -err->code;
	log_debug("container %s is created: stand-in %d", c->state.id, (int)c->standin);
	return standin_commit(c->report, err);
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
	fd_close(&c->vm.owner);
	if (c->standin > 0 && process_identify(c->standin, &standin) == 0)
		process_kill_wait(&standin, KILL_TIMEOUT_MS);
	process_kill_wait(&c->state.vmm, KILL_TIMEOUT_MS);
	if (c->cgroup_holder > 0)
		end_holder(&c->cgroup_holder);
	network_release(&c->network);
	if (host_cgroup_remove(&c->cgroup, &ignored) < 0)
		log_warn("%s", ignored.msg);
	if (pod_leave(&c->state, c->config, &ignored) < 0)
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
	disks_close(&c->disks);
	state_close(&c->state);
	json_decref(c->config);
	free(c->config_text);
	free(c->seccomp.code);
	fd_close(&c->vm.owner);
	fd_close(&c->vm.ready);
	fd_close(&c->pty.slave);
	fd_close(&c->pty.master);
	fd_close(&c->report);
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
	ret = launch_check_options(options, &c->preserved, err);
	if (ret == 0)
		ret = state_check_id(id, err);
	if (ret == 0)
		ret = load(c, id, err);
	if (ret == 0)
		ret = announce_listen_fds(c, err);
	if (ret == 0)
		ret = keep_groups(c, err);
	if (ret == 0)
		ret = inherit_limits(c, err);
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
