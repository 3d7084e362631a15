/* SPDX-License-Identifier: Apache-2.0 */
/* Pods: containers that share a VM. */
#include "runtime/pod.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/proto/agent.pb-c.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/json.h"
#include "lib/log.h"
#include "runtime/agent_client.h"
#include "runtime/network.h"
#include "runtime/standin_network.h"
#include "runtime/vm_control.h"

#define LEAVE_TIMEOUT_MS 10000

static const struct {
	const char *type, *file; /* in config.json, in /proc/PID/ns */
} types[] = {
	{ "network", "net" },
	{ "pid", "pid" },
	{ "ipc", "ipc" },
	{ "uts", "uts" },
};

#define NETWORK 0 /* which may be the VM's own, or one that no container has yet */

/* A namespace's identity (namespaces(7)); false if there is nothing at path. */
static bool identify(const char *path, struct stat *st)
{
	return stat(path, st) == 0;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static bool is_own(const char *file, const struct stat *st)
{
	char path[64];
	struct stat own;

	snprintf(path, sizeof(path), "/proc/self/ns/%s", file);
	return identify(path, &own) && is_same(&own, st);
}

/* The host's network is another matter (network.h), and of the host's user namespace all stand-ins are. */
static bool is_own_namespace(const json_t *entry)
{
	static const char *const droppable[] = { "pid", "ipc", "uts", "cgroup" };
	const char *type = json_get_string(entry, "type", ""), *path = json_get_string(entry, "path", "");
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(droppable); i++)
		if (!strcmp(droppable[i], type))
			return *path && identify(path, &st) && is_own(type, &st);
	return false;
}

size_t pod_drop_own_namespaces(json_t *config)
{
	json_t *list = json_object_get(json_object_get(config, "linux"), "namespaces");
	size_t n = 0;

	for (size_t i = json_array_size(list); i > 0; i--)
		if (is_own_namespace(json_array_get(list, i - 1)) && json_array_remove(list, i - 1) == 0)
			n++;
	return n;
}

/* The namespaces that config wants to join and that are not ours: what the caller is in, any stand-in may be in as well. */
struct wanted {
	bool is_wanted[ARRAY_SIZE(types)];
	bool is_matched[ARRAY_SIZE(types)];
	struct stat st[ARRAY_SIZE(types)];
	bool any, new_network;
};

static void collect(struct wanted *wanted, const json_t *config)
{
	const json_t *list = json_object_get(json_object_get(config, "linux"), "namespaces"), *entry;
	size_t i;

	memset(wanted, 0, sizeof(*wanted));
	json_array_foreach(list, i, entry) {
		const char *type = json_get_string(entry, "type", ""), *path = json_get_string(entry, "path", "");

		if (!strcmp(type, "network") && !*path)
			wanted->new_network = true;
		for (size_t k = 0; k < ARRAY_SIZE(types); k++) {
			if (strcmp(types[k].type, type) || !*path || !identify(path, &wanted->st[k]))
				continue;
			wanted->is_wanted[k] = !is_own(types[k].file, &wanted->st[k]);
			wanted->any |= wanted->is_wanted[k];
		}
	}
}

struct sandbox {
	const char *id; /* borrowed from the configuration; "" if it names none */
	bool may_be_missing;
};

/* podman writes CRI-O's annotations; a pod of its own without an infra container names itself as sandbox, which is no container. */
static struct sandbox sandbox_of(const json_t *config)
{
	static const struct {
		const char *type, *id;
		bool may_be_missing;
	} keys[] = {
		{ "io.kubernetes.cri.container-type", "io.kubernetes.cri.sandbox-id", false },
		{ "io.kubernetes.cri-o.ContainerType", "io.kubernetes.cri-o.SandboxID", true },
	};
	const json_t *annotations = json_object_get(config, "annotations");

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (!strcmp(json_get_string(annotations, keys[i].type, ""), "container"))
			return (struct sandbox){ json_get_string(annotations, keys[i].id, ""), keys[i].may_be_missing };
	return (struct sandbox){ .id = "" };
}

bool pod_is_sandbox(const json_t *config)
{
	const json_t *annotations = json_object_get(config, "annotations");

	return !strcmp(json_get_string(annotations, "io.kubernetes.cri.container-type", ""), "sandbox") ||
	       !strcmp(json_get_string(annotations, "io.kubernetes.cri-o.ContainerType", ""), "sandbox");
}

static int set_owner(struct pod *pod, const struct state *state, struct err *err)
{
	if (*pod->vm_owner && strcmp(pod->vm_owner, state->vm_owner))
		return err_msg(err, ENOTSUP, "linux.namespaces: the containers whose namespaces are to be shared are in the VMs of %s and %s",
			       pod->vm_owner, state->vm_owner);
	strcpy(pod->vm_owner, state->vm_owner);
	return 0;
}

/* Looks whether a container that lives has one of the namespaces. */
static int match(struct pod *pod, struct wanted *wanted, const struct state *state, struct err *err)
{
	for (size_t k = 0; k < ARRAY_SIZE(types); k++) {
		char path[64];
		struct stat st;

		if (!wanted->is_wanted[k] || wanted->is_matched[k])
			continue;
		snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)state->standin.pid, types[k].file);
		if (!identify(path, &st) || !is_same(&st, &wanted->st[k]))
			continue;
		if (set_owner(pod, state, err) < 0)
			return -err->code;
		wanted->is_matched[k] = true;
		if (k == NETWORK && state->network == 0)
			continue;
		if (k == NETWORK)
			pod->network = state->network;
		pod->namespaces[pod->n].type = types[k].type;
		strcpy(pod->namespaces[pod->n++].container, state->id);
	}
	return 0;
}

static bool is_alive(const struct state *state)
{
	return state->status == STATUS_CREATED || state->status == STATUS_RUNNING || state->status == STATUS_PAUSED;
}

struct search {
	struct pod *pod;
	struct wanted *wanted;
	struct err *err;
};

static int look(const struct state *state, void *ctx)
{
	const struct search *search = ctx;

	return is_alive(state) ? match(search->pod, search->wanted, state, search->err) : 0;
}

static int join_sandbox(struct pod *pod, const char *root, const struct sandbox *sandbox, struct err *err)
{
	struct state state;
	int ret = state_open(&state, root, sandbox->id, err);

	/* Its containers have VMs of their own, unless their namespaces say otherwise. */
	if (ret == -ENOENT && sandbox->may_be_missing) {
		state_close(&state);
		return 0;
	}
	if (ret == 0 && !is_alive(&state))
		ret = err_msg(err, EINVAL, "the pod's sandbox %s is %s", sandbox->id, status_names[state.status]);
	if (ret == 0)
		ret = set_owner(pod, &state, err);
	state_close(&state);
	return ret;
}

int pod_find(struct pod *pod, const char *root, const json_t *config, struct err *err)
{
	struct sandbox sandbox = sandbox_of(config);
	struct wanted wanted;

	memset(pod, 0, sizeof(*pod));
	collect(&wanted, config);
	if (*sandbox.id && join_sandbox(pod, root, &sandbox, err) < 0)
		return -err->code;
	if (wanted.any && state_for_each(root, look, &(struct search){ pod, &wanted, err }) < 0)
		return -err->code;
	if (!*pod->vm_owner)
		return 0;
	for (size_t k = 0; k < ARRAY_SIZE(types); k++)
		if (wanted.is_wanted[k] && !wanted.is_matched[k] && k != NETWORK)
			return err_msg(err, ENOTSUP, "linux.namespaces: the %s namespace is none of container %s, in whose VM this one would be",
				       types[k].type, pod->vm_owner);
	pod->own_network = wanted.new_network || (wanted.is_wanted[NETWORK] && !wanted.is_matched[NETWORK]);
	return 0;
}

void pod_share_prefix(const char *id, char out[SHARE_PREFIX_MAX])
{
	uint64_t hash = 0xcbf29ce484222325; /* FNV-1a: ids are longer than names may be */

	for (const char *c = id; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 0x100000001b3;
	snprintf(out, SHARE_PREFIX_MAX, "%016" PRIx64 ".", hash);
}

/* The container is not there yet, or the VM not any more. */
static bool is_gone(const struct err *err)
{
	return err->code == ENOENT || err->code == ECONNREFUSED;
}

static void remove_shares(const struct state *state, const json_t *config)
{
	char prefix[SHARE_PREFIX_MAX], name[SHARE_NAME_MAX];
	int mounts = (int)json_array_size(json_object_get(config, "mounts"));

	pod_share_prefix(state->id, prefix);
	for (int i = -1; i < mounts; i++) {
		struct err ignored;

		/* Not every mount is a share. */
		share_name(name, prefix, i);
		if (vm_control_remove_share(state->vm_dir, name, &ignored) < 0)
			log_debug("%s", ignored.msg);
	}
}

static void remove_devices(const struct state *state)
{
	char prefix[SHARE_PREFIX_MAX];
	struct err err;

	pod_share_prefix(state->id, prefix);
	if (vm_control_remove_devices(state->vm_dir, prefix, &err) < 0 && !is_gone(&err))
		log_warn("%s", err.msg);
}

/* The agent kills what belongs to a stand-in's connection when that ends, and needs a moment for it. */
static int delete_in_guest(const struct state *state, struct err *err)
{
	Cella__Agent__ProcessRef request = CELLA__AGENT__PROCESS_REF__INIT;
	int64_t deadline = io_now_ms() + LEAVE_TIMEOUT_MS;
	int ret;

	request.id = (char *)state->id;
	while ((ret = agent_call_once(state->vm_dir, "DeleteContainer", &request.base, &cella__agent__empty__descriptor, NULL,
				      err)) == -EBUSY &&
	       io_now_ms() < deadline)
		usleep(10000);
	return ret;
}

static int leave_vm(const struct state *state, const json_t *config, struct err *err)
{
	if (delete_in_guest(state, err) < 0 && !is_gone(err))
		return err_wrap(err, "leave the VM of %s", state->vm_owner);
	remove_shares(state, config);
	remove_devices(state);
	return 0;
}

int pod_leave(const struct state *state, const json_t *config, struct err *err)
{
	bool in_other_vm = !state_owns_vm(state), has_network = state->owns_network;
	int ret = in_other_vm ? leave_vm(state, config, err) : 0;

	if (has_network) {
		standin_network_clean_up(state->vm_dir, state->network);
		state_leave_network(state);
	}
	return ret == 0 && (has_network || !in_other_vm) ? network_give_back(network_namespace_path(config), err) : ret;
}
