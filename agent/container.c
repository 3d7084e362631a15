/* SPDX-License-Identifier: Apache-2.0 */
/* Containers. */
#include "agent/container.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/cgroup_namespace.h"
#include "agent/device_filter.h"
#include "agent/devices.h"
#include "agent/disks.h"
#include "agent/growth.h"
#include "agent/host_sockets.h"
#include "agent/joins.h"
#include "agent/names.h"
#include "agent/network.h"
#include "agent/network_namespace.h"
#include "agent/outside_sockets.h"
#include "lib/cgroup_limits.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/log.h"

/* What is left to the host: which processors, and the bandwidth of its disks. The guest's have other numbers. */
#define GUEST_CONTROLLERS (CGROUP_CPU | CGROUP_MEMORY | CGROUP_PIDS | CGROUP_HUGETLB)

struct container {
	struct loop *loop; /* borrowed */
	char id[1025];
	json_t *config; /* owned */
	struct cgroup cgroup;
	bool has_cgroup;
	int network; /* network_namespace.h; owned */
	unsigned int network_number; /* 0: it was not made for this one */
	struct names *names; /* owned; of that network, or NULL */
	struct host_sockets *sockets; /* owned */
	bool finished; /* the first process has ended and the rest was killed */
	char rootfs_share[256];
	struct shared_mount *shared; /* owned, and the strings in it */
	size_t nshared;
	char (*disks)[DISK_ID_MAX]; /* owned */
	size_t ndisks;
	struct process *processes; /* owned; the first process is the one without exec_id */
	struct container *next;
};

struct containers {
	struct loop *loop; /* borrowed */
	struct container *list;
	struct outside_sockets *outside; /* owned; NULL: the kernel does not lead them here */
};

/*
 * The cgroup that all containers are below, now instead of with the first of them, and a device filter that allows all: the
 * first cgroup with memory and cpusets and the first filter have Linux patch some thirty places of its text. In a template
 * that is done once; in each of its VMs it would break the huge pages that they share. What a kernel of the administrator's own
 * lacks for it, the first container that needs it names.
 */
static int prepare_pod_cgroup(struct err *err)
{
	const struct cgroup pod = { .path = GROWTH_CGROUP };
	json_t *everything = json_pack("[{sb}]", "allow", true);
	auto_fd fd = -1;
	bool created;
	int ret = everything ? cgroup_create(&pod, &created, err) : err_set(err, ENOMEM, "device filter");

	if (ret == 0) {
		fd = cgroup_open(&pod, err);
		ret = fd < 0 ? fd : cgroup_namespace_new(fd, err);
	}
	if (ret == 0)
		ret = device_filter_attach(fd, everything, err);
	json_decref(everything);
	return ret;
}

struct containers *containers_new(struct loop *loop, struct err *err)
{
	struct containers *containers = calloc(1, sizeof(*containers));
	struct err ignored;

	if (!containers) {
		err_set(err, ENOMEM, "containers");
		return NULL;
	}
	containers->loop = loop;
	if (prepare_pod_cgroup(&ignored) < 0)
		log_warn("the pod's cgroup: %s", ignored.msg);
	containers->outside = outside_sockets_new(containers, loop, &ignored);
	if (!containers->outside)
		log_info("sockets in shared directories stay in the guest: %s", ignored.msg);
	return containers;
}

struct container *container_find(struct containers *containers, const char *id)
{
	struct container *container = containers->list;

	while (container && strcmp(container->id, id))
		container = container->next;
	return container;
}

const json_t *container_config(const struct container *container)
{
	return container->config;
}

const struct cgroup *container_cgroup(const struct container *container)
{
	return &container->cgroup;
}

int container_network(const struct container *container)
{
	return container->network;
}

unsigned int container_network_number(const struct container *container)
{
	return container->network_number;
}

int container_serve_names(struct container *container, struct err *err)
{
	int ret;

	if (!container->names)
		container->names = names_new(container->loop, container->network_number, err);
	if (!container->names || network_namespace_enter(container->network, err) < 0)
		return -err->code;
	ret = names_serve(container->names, err);
	network_namespace_leave(container->network);
	return ret;
}

struct process *container_process(struct container *container, const char *exec_id)
{
	struct process *process = container->processes;

	while (process && strcmp(process->exec_id, exec_id ? exec_id : ""))
		process = process->next;
	return process;
}

static void container_free(struct container *container)
{
	while (container->processes) {
		struct process *process = container->processes;

		container->processes = process->next;
		process_free(process);
	}
	devices_unstage(container->id);
	fd_close(&container->network);
	names_free(container->names);
	host_sockets_free(container->sockets);
	for (size_t i = 0; i < container->nshared; i++)
		free((char *)container->shared[i].share);
	free(container->shared);
	free(container->disks);
	json_decref(container->config);
	free(container);
}

/* All containers are below one cgroup of the guest's. */
static int name_cgroup(struct container *container, const char *path, struct err *err)
{
	struct cgroup named;
	int ret = cgroup_name(&named, path, container->id, err);

	if (ret == 0 && snprintf(container->cgroup.path, sizeof(container->cgroup.path), "%s%s", GROWTH_CGROUP,
				 named.path + strlen(CGROUP_ROOT)) >= (int)sizeof(container->cgroup.path))
		ret = err_set(err, ENAMETOOLONG, "linux.cgroupsPath '%s'", named.path);
	return ret;
}

static int set_up_cgroup(struct container *container, struct err *err)
{
	const json_t *linux_section = json_object_get(container->config, "linux");
	const json_t *resources = json_object_get(linux_section, "resources");
	const json_t *rules = json_object_get(resources, "devices");
	auto_fd fd = -1;

	if (name_cgroup(container, json_get_string(linux_section, "cgroupsPath", NULL), err) < 0 ||
	    cgroup_create(&container->cgroup, &container->has_cgroup, err) < 0 ||
	    cgroup_apply(&container->cgroup, resources, GUEST_CONTROLLERS, err) < 0)
		return -err->code;
	if (!rules)
		return 0;
	fd = cgroup_open(&container->cgroup, err);
	return fd < 0 ? fd : device_filter_attach(fd, rules, err);
}

/* What is bound in place of a socket of the host that takes datagrams is the agent's. */
static int open_sockets(struct container *container, const Cella__Agent__CreateContainerRequest *request, struct err *err)
{
	container->sockets = host_sockets_new(container->loop, request->sockets_port, err);
	if (!container->sockets)
		return -err->code;
	for (size_t i = 0; i < request->n_mounts; i++) {
		const Cella__Agent__SharedMount *mount = request->mounts[i];
		char path[HOST_SOCKET_PATH_MAX], *copy;

		if (!mount->socket)
			continue;
		if (host_sockets_add(container->sockets, mount->index, mount->socket, path, err) < 0)
			return -err->code;
		copy = strdup(path);
		if (!copy)
			return err_set(err, ENOMEM, "container");
		free((char *)container->shared[i].share);
		container->shared[i].share = copy;
	}
	return 0;
}

static int copy_request(struct container *container, const Cella__Agent__CreateContainerRequest *request, struct err *err)
{
	if (strlen(request->id) >= sizeof(container->id) || !*request->id ||
	    strlen(request->rootfs_share) >= sizeof(container->rootfs_share))
		return err_msg(err, EINVAL, "container id or share name");
	strcpy(container->id, request->id);
	strcpy(container->rootfs_share, request->rootfs_share);
	container->config =
		json_parse_object((const char *)request->config.data, request->config.len, "config.json", err);
	if (!container->config)
		return -err->code;
	container->shared = calloc(request->n_mounts + 1, sizeof(*container->shared));
	for (size_t i = 0; container->shared && i < request->n_mounts; i++) {
		container->shared[i] = (struct shared_mount){
			.index = request->mounts[i]->index,
			.share = strdup(request->mounts[i]->share),
			.is_file = request->mounts[i]->is_file,
		};
		container->nshared++;
	}
	container->disks = calloc(request->n_disks + 1, sizeof(*container->disks));
	for (size_t i = 0; container->disks && i < request->n_disks; i++) {
		if (strlen(request->disks[i]->id) >= DISK_ID_MAX)
			return err_msg(err, EINVAL, "disk '%s': the name is too long", request->disks[i]->id);
		strcpy(container->disks[container->ndisks++], request->disks[i]->id);
	}
	return container->shared && container->disks ? 0 : err_set(err, ENOMEM, "container");
}

static int release_disks(struct container *container, struct err *err)
{
	int ret = 0;

	while (ret == 0 && container->ndisks > 0) {
		ret = disks_release(container->disks[container->ndisks - 1], err);
		if (ret == 0)
			container->ndisks--;
	}
	return ret;
}

static void set_seccomp(struct spawn *spawn, const Cella__Agent__SeccompFilter *filter)
{
	if (!filter || !filter->program.len)
		return;
	spawn->seccomp = (const struct sock_filter *)filter->program.data;
	spawn->seccomp_len = filter->program.len / sizeof(struct sock_filter);
	spawn->seccomp_flags = filter->flags;
}

static void add_process(struct container *container, struct process *process, struct ttrpc *conn, uint32_t stream)
{
	process->creating = (struct pending_call){ .conn = conn, .stream = stream };
	process->owner = conn;
	process->next = container->processes;
	container->processes = process;
}

/* A network that is not the guest's: a new one, or another container's. */
static int choose_network(struct containers *containers, struct container *container,
			  const Cella__Agent__CreateContainerRequest *request, struct err *err)
{
	if (request->own_network) {
		int network = network_namespace_new(err);

		if (network < 0)
			return network;
		container->network = network;
		container->network_number = request->own_network;
		return 0;
	}
	for (size_t i = 0; i < request->n_namespaces; i++) {
		const Cella__Agent__SharedNamespace *wanted = request->namespaces[i];
		const struct container *other = container_find(containers, wanted->container);

		if (strcmp(wanted->type, NETWORK_TYPE))
			continue;
		if (!other)
			return err_msg(err, ESRCH, "linux.namespaces: container %s, whose network is to be shared, does not exist",
				       wanted->container);
		if (other->network == NETWORK_OF_GUEST)
			continue;
		container->network = fcntl(other->network, F_DUPFD_CLOEXEC, 0);
		if (container->network < 0)
			return err_set(err, errno, "share a network");
	}
	return 0;
}

static int release_network(const struct container *container, struct err *err)
{
	return container->network_number ? network_remove_all(container->network, err) : 0;
}

static int start_first_process(struct containers *containers, struct container *container,
			       const Cella__Agent__CreateContainerRequest *request, struct ttrpc *conn, uint32_t stream,
			       struct err *err)
{
	struct disk_mounts disks;
	struct spawn spawn = {
		.config = container->config,
		.process = json_object_get(container->config, "process"),
		.rootfs = { .id = container->id, .config = container->config, .share = container->rootfs_share,
			    .shared = container->shared, .nshared = container->nshared, .disks = &disks },
		.cgroup = &container->cgroup,
		.bundle = request->bundle,
	};
	struct process *process = NULL;

	spawn.network = container->network;
	if (joins_find(&spawn, container->config, containers, request, err) < 0)
		return -err->code;
	if (spawn_wants_namespace(container->config, "user") && network_open_to_all(container->network, err) < 0)
		return -err->code;
	set_seccomp(&spawn, request->seccomp);
	if (disks_mount(&disks, container->config, request->disks, request->n_disks, err) == 0)
		process = process_new(container, containers->loop, "", &spawn, request->stdio, err);
	disks_unmount(&disks);
	if (!process)
		return -err->code;
	add_process(container, process, conn, stream);
	return 0;
}

int container_create(struct containers *containers, const Cella__Agent__CreateContainerRequest *request,
		     struct ttrpc *conn, uint32_t stream, struct err *err)
{
	struct container *container;
	int ret;

	if (container_find(containers, request->id))
		return err_msg(err, EEXIST, "container %s exists", request->id);
	container = calloc(1, sizeof(*container));
	if (!container)
		return err_set(err, ENOMEM, "container");
	container->loop = containers->loop;
	container->network = NETWORK_OF_GUEST;
	ret = copy_request(container, request, err);
	if (ret == 0)
		ret = open_sockets(container, request, err);
	if (ret == 0)
		ret = disks_translate(container->config, request->disks, request->n_disks, err);
	if (ret == 0)
		ret = choose_network(containers, container, request, err);
	if (ret == 0)
		ret = network_set_up(request->network, container->network, err);
	if (ret == 0 && request->own_network && request->network && request->network->names)
		ret = container_serve_names(container, err);
	if (ret == 0)
		ret = set_up_cgroup(container, err);
	if (ret == 0)
		ret = devices_stage(container->id, container->config, err);
	if (ret == 0)
		ret = start_first_process(containers, container, request, conn, stream, err);
	if (ret < 0) {
		struct err ignored;

		if (container->has_cgroup && cgroup_remove(&container->cgroup, &ignored) < 0)
			log_warn("%s", ignored.msg);
		if (release_disks(container, &ignored) < 0)
			log_warn("%s", ignored.msg);
		if (release_network(container, &ignored) < 0)
			log_warn("%s", ignored.msg);
		container_free(container);
		return ret;
	}
	container->next = containers->list;
	containers->list = container;
	return 0;
}

int container_update(struct container *container, const uint8_t *resources, size_t len, struct err *err)
{
	json_t *parsed = json_parse_object((const char *)resources, len, "resources", err);
	int ret = parsed ? cgroup_apply(&container->cgroup, parsed, GUEST_CONTROLLERS, err) : -err->code;

	json_decref(parsed);
	return ret;
}

/* The cgroup that an exec'd process asks for by its path below the container's. */
static int name_subcgroup(struct cgroup *cgroup, const struct container *container, const char *path, struct err *err)
{
	if (cgroup_path_leads_up(path))
		return err_msg(err, EINVAL, "cgroup '%s' is not below the container's", path);
	if (snprintf(cgroup->path, sizeof(cgroup->path), "%s/%s", container->cgroup.path, path) >= (int)sizeof(cgroup->path))
		return err_set(err, ENAMETOOLONG, "cgroup '%s'", path);
	return 0;
}

int container_exec(struct container *container, const Cella__Agent__ExecProcessRequest *request, struct ttrpc *conn,
		   uint32_t stream, struct err *err)
{
	struct process *init = container_process(container, NULL), *process;
	struct spawn spawn = { .config = container->config, .cgroup = &container->cgroup };
	struct cgroup named;
	json_t *document;

	if (!init || init->pid <= 0)
		return err_msg(err, EBUSY, "cannot exec in a stopped container");
	if (!*request->exec_id || strlen(request->exec_id) >= sizeof(process->exec_id))
		return err_msg(err, EINVAL, "exec id");
	if (container_process(container, request->exec_id))
		return err_msg(err, EEXIST, "process %s exists", request->exec_id);
	if (*request->cgroup) {
		if (name_subcgroup(&named, container, request->cgroup, err) < 0)
			return -err->code;
		spawn.cgroup = &named;
		spawn.cgroup_was_named = true;
	}
	document = json_parse_object((const char *)request->process.data, request->process.len, "process", err);
	if (!document)
		return -err->code;
	spawn.process = document;
	spawn.init = init->pid;
	spawn.network = container->network;
	set_seccomp(&spawn, request->seccomp);
	process = process_new(container, init->loop, request->exec_id, &spawn, request->stdio, err);
	json_decref(document); /* the child has a copy of its own */
	if (!process)
		return -err->code;
	add_process(container, process, conn, stream);
	return 0;
}

int container_delete(struct containers *containers, struct container *container, struct err *err)
{
	struct process *init = container_process(container, NULL);
	struct container **at = &containers->list;

	/* Its cgroup can only be removed once the last process has been reaped: the caller asks again. */
	if (init && init->pid > 0)
		return err_msg(err, EBUSY, "cannot delete container %s that is not stopped", container->id);
	if (cgroup_remove(&container->cgroup, err) < 0 || release_disks(container, err) < 0 || release_network(container, err) < 0)
		return -err->code;
	while (container->processes) {
		struct process *process = container->processes;

		container->processes = process->next;
		process_free(process);
	}
	while (*at != container)
		at = &(*at)->next;
	*at = container->next;
	container_free(container);
	return 0;
}

int container_kill_all(struct container *container, int sig, struct err *err)
{
	json_t *pids, *pid;
	size_t i;

	if (sig == SIGKILL)
		return cgroup_kill(&container->cgroup, err);
	pids = cgroup_processes(&container->cgroup, err);
	if (!pids)
		return -err->code;
	json_array_foreach(pids, i, pid)
		kill((pid_t)json_integer_value(pid), sig);
	json_decref(pids);
	return 0;
}

struct process *containers_find_token(struct containers *containers, const char *token)
{
	if (strlen(token) != sizeof(((struct process *)0)->token) - 1)
		return NULL;
	for (struct container *container = containers->list; container; container = container->next)
		for (struct process *process = container->processes; process; process = process->next)
			if (!strcmp(process->token, token))
				return process;
	return NULL;
}

static bool is_at_or_below(const struct cgroup *cgroup, const struct cgroup *upper)
{
	size_t len = strlen(upper->path);

	return !strncmp(cgroup->path, upper->path, len) && (cgroup->path[len] == '/' || !cgroup->path[len]);
}

struct host_sockets *containers_way_out(struct containers *containers, pid_t pid)
{
	struct host_sockets *any = NULL;
	struct cgroup cgroup;
	struct err ignored;
	bool known = cgroup_of_process(&cgroup, pid, &ignored) == 0;

	for (struct container *container = containers->list; container; container = container->next) {
		if (container->finished)
			continue;
		if (known && is_at_or_below(&cgroup, &container->cgroup))
			return container->sockets;
		any = container->sockets;
	}
	return any;
}

/* The end of the first process is the end of the container: whoever is left in the cgroup dies, too. */
static void finish(const struct containers *containers, struct container *container)
{
	struct err err;

	if (container->finished)
		return;
	if (cgroup_kill(&container->cgroup, &err) < 0)
		log_warn("%s", err.msg);
	/* What it wrote through shared mappings reaches the host before anybody hears of the end. */
	sync();
	/* As does what it said. */
	outside_sockets_take_all(containers->outside);
	host_sockets_finish(container->sockets);
	container->finished = true;
}

/* Exec'd processes that have ended and whose stand-in is gone: nobody will ask for them again. */
static void forget_ended(struct container *container)
{
	struct process **at = &container->processes;

	while (*at) {
		struct process *process = *at;

		if (*process->exec_id && process->state == PROCESS_EXITED && !process->owner && !process->waiting) {
			*at = process->next;
			process_free(process);
		} else {
			at = &process->next;
		}
	}
}

void containers_reaped(struct containers *containers, pid_t pid, int wait_status)
{
	for (struct container *container = containers->list; container; container = container->next)
		for (struct process *process = container->processes; process; process = process->next) {
			if (process->helper == pid)
				process->helper = 0;
			if (process->pid != pid)
				continue;
			if (!*process->exec_id)
				finish(containers, container);
			process_reaped(process, wait_status);
			forget_ended(container);
			return;
		}
}

void containers_connection_ended(struct containers *containers, struct ttrpc *conn)
{
	for (struct container *container = containers->list; container; container = container->next) {
		for (struct process *process = container->processes; process; process = process->next)
			process_connection_ended(process, conn);
		forget_ended(container);
	}
}
