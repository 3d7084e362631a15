/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's calls. */
#include "agent/service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/forward.h"
#include "agent/guest.h"
#include "agent/network.h"
#include "agent/network_namespace.h"
#include "agent/processes.h"
#include "agent/stats.h"
#include "lib/cleanup.h"

/*
 * A handler gets the unpacked request. It answers through answer (packed and sent when it returns 0), or returns
 * LATER when somebody else answers, or -errno with err.
 */
#define LATER 1

struct call {
	struct service *service;
	struct ttrpc *conn;
	uint32_t stream;
	const ProtobufCMessage *request;
};

typedef int call_handler(const struct call *call, struct err *err);

static void reply_empty(const struct call *call)
{
	Cella__Agent__Empty empty = CELLA__AGENT__EMPTY__INIT;

	ttrpc_reply(call->conn, call->stream, &empty.base);
}

static struct container *find_container(const struct call *call, const char *id, struct err *err)
{
	struct container *container = container_find(call->service->containers, id);

	if (!container)
		err_msg(err, ENOENT, "container %s does not exist", id);
	return container;
}

static struct process *find_process(const struct call *call, const char *id, const char *exec_id, struct err *err)
{
	struct container *container = find_container(call, id, err);
	struct process *process = container ? container_process(container, exec_id) : NULL;

	if (container && !process)
		err_msg(err, ENOENT, "process %s of container %s does not exist", exec_id, id);
	return process;
}

static int setup_guest(const struct call *call, struct err *err)
{
	const Cella__Agent__SetupGuestRequest *request = (const Cella__Agent__SetupGuestRequest *)call->request;
	Cella__Agent__SetupGuestResponse response = CELLA__AGENT__SETUP_GUEST_RESPONSE__INIT;
	struct utsname name;
	int ret = 0;

	if (request->entropy.len)
		ret = guest_add_entropy(request->entropy.data, request->entropy.len, err);
	if (ret == 0 && request->realtime_ns)
		ret = guest_set_clock(request->realtime_ns, err);
	if (ret == 0 && *request->hostname && sethostname(request->hostname, strlen(request->hostname)) < 0)
		ret = err_set(err, errno, "set the guest's hostname");
	if (ret == 0 && request->growth_mib)
		ret = growth_announce(call->service->growth, request->growth_mib, err);
	if (ret == 0 && *request->share_tag && !call->service->share_mounted) {
		ret = guest_mount_share(request->share_tag, err);
		call->service->share_mounted = ret == 0;
	}
	if (ret < 0)
		return ret;
	uname(&name);
	response.version = (char *)CELLA_VERSION;
	response.kernel = name.release;
	ttrpc_reply(call->conn, call->stream, &response.base);
	return LATER;
}

static int serve_names(const struct call *call, const Cella__Agent__Network *network, struct err *err)
{
	return network && network->names ? names_serve(call->service->names, err) : 0;
}

/* Whose network a call is about: a container's, or the guest's own (*ret_container NULL). */
static int find_network(const struct call *call, const char *id, struct container **ret_container, int *ret_network,
			struct err *err)
{
	*ret_container = *id ? find_container(call, id, err) : NULL;
	if (*id && !*ret_container)
		return -err->code;
	*ret_network = *ret_container ? container_network(*ret_container) : NETWORK_OF_GUEST;
	return 0;
}

static int set_up_network(const struct call *call, struct err *err)
{
	const Cella__Agent__Network *network = (const Cella__Agent__Network *)call->request;
	struct container *container;
	int namespace = NETWORK_OF_GUEST, ret;

	if (find_network(call, network->container, &container, &namespace, err) < 0)
		return -err->code;
	ret = network_set_up(network, namespace, err);
	if (ret < 0 || !container)
		return ret < 0 ? ret : serve_names(call, network, err);
	return network->names ? container_serve_names(container, err) : 0;
}

static int remove_interface(const struct call *call, struct err *err)
{
	const Cella__Agent__RemoveInterfaceRequest *request = (const Cella__Agent__RemoveInterfaceRequest *)call->request;
	struct container *container;
	int namespace = NETWORK_OF_GUEST;

	if (find_network(call, request->container, &container, &namespace, err) < 0)
		return -err->code;
	return network_remove(&request->mac, namespace, err);
}

static int create_container(const struct call *call, struct err *err)
{
	const Cella__Agent__CreateContainerRequest *request = (const Cella__Agent__CreateContainerRequest *)call->request;
	int ret = request->own_network ? 0 : serve_names(call, request->network, err);

	guest_visit_mounted_shares();
	guest_visit_share(request->rootfs_share);
	for (size_t i = 0; i < request->n_mounts; i++)
		guest_visit_share(request->mounts[i]->share);
	if (ret == 0)
		ret = container_create(call->service->containers, request, call->conn, call->stream, err);
	return ret < 0 ? ret : LATER;
}

static int start_container(const struct call *call, struct err *err)
{
	const Cella__Agent__ProcessRef *request = (const Cella__Agent__ProcessRef *)call->request;
	struct process *process = find_process(call, request->id, NULL, err);

	if (!process)
		return -err->code;
	process_start(process, call->conn, call->stream);
	return LATER;
}

static int exec_process(const struct call *call, struct err *err)
{
	const Cella__Agent__ExecProcessRequest *request = (const Cella__Agent__ExecProcessRequest *)call->request;
	struct container *container = find_container(call, request->id, err);
	int ret = container ? container_exec(container, request, call->conn, call->stream, err) : -err->code;

	return ret < 0 ? ret : LATER;
}

static int signal_process(const struct call *call, struct err *err)
{
	const Cella__Agent__SignalProcessRequest *request = (const Cella__Agent__SignalProcessRequest *)call->request;
	struct container *container = find_container(call, request->id, err);
	struct process *process;

	if (!container)
		return -err->code;
	if (request->all)
		return container_kill_all(container, request->signal, err);
	process = find_process(call, request->id, request->exec_id, err);
	return process ? process_signal(process, request->signal, err) : -err->code;
}

static int wait_process(const struct call *call, struct err *err)
{
	const Cella__Agent__ProcessRef *request = (const Cella__Agent__ProcessRef *)call->request;
	struct process *process = find_process(call, request->id, request->exec_id, err);

	if (!process)
		return -err->code;
	process_wait(process, call->conn, call->stream);
	return LATER;
}

static int resize_terminal(const struct call *call, struct err *err)
{
	const Cella__Agent__ResizeTerminalRequest *request = (const Cella__Agent__ResizeTerminalRequest *)call->request;
	struct process *process = find_process(call, request->id, request->exec_id, err);

	return process ? process_resize(process, request->rows, request->columns, err) : -err->code;
}

static int list_processes(const struct call *call, struct err *err)
{
	const Cella__Agent__ProcessRef *request = (const Cella__Agent__ProcessRef *)call->request;
	Cella__Agent__ListProcessesResponse response = CELLA__AGENT__LIST_PROCESSES_RESPONSE__INIT;
	struct container *container = find_container(call, request->id, err);
	json_t *pids = container ? cgroup_processes(container_cgroup(container), err) : NULL, *pid;
	size_t i;

	if (!pids)
		return -err->code;
	response.pids = calloc(json_array_size(pids) + 1, sizeof(*response.pids));
	if (!response.pids) {
		json_decref(pids);
		return err_set(err, ENOMEM, "list processes");
	}
	json_array_foreach(pids, i, pid)
		response.pids[response.n_pids++] = (int32_t)json_integer_value(pid);
	ttrpc_reply(call->conn, call->stream, &response.base);
	free(response.pids);
	json_decref(pids);
	return LATER;
}

static int describe_processes(const struct call *call, struct err *err)
{
	const Cella__Agent__ProcessRef *request = (const Cella__Agent__ProcessRef *)call->request;
	struct process *process = find_process(call, request->id, NULL, err);
	Cella__Agent__DescribeProcessesResponse *response = process ? processes_describe(process->pid, err) : NULL;

	if (!response)
		return -err->code;
	ttrpc_reply(call->conn, call->stream, &response->base);
	cella__agent__describe_processes_response__free_unpacked(response, NULL);
	return LATER;
}

static int freeze(const struct call *call, bool frozen, struct err *err)
{
	const Cella__Agent__ProcessRef *request = (const Cella__Agent__ProcessRef *)call->request;
	struct container *container = find_container(call, request->id, err);

	return container ? cgroup_freeze(container_cgroup(container), frozen, err) : -err->code;
}

static int pause_container(const struct call *call, struct err *err)
{
	return freeze(call, true, err);
}

static int resume_container(const struct call *call, struct err *err)
{
	return freeze(call, false, err);
}

static int update_container(const struct call *call, struct err *err)
{
	const Cella__Agent__UpdateContainerRequest *request = (const Cella__Agent__UpdateContainerRequest *)call->request;
	struct container *container = find_container(call, request->id, err);

	int ret = container ? container_update(container, request->resources.data, request->resources.len, err) : -err->code;

	if (ret == 0)
		growth_limits_changed(call->service->growth);
	return ret;
}

static int wait_memory(const struct call *call, struct err *err)
{
	const Cella__Agent__WaitMemoryRequest *request = (const Cella__Agent__WaitMemoryRequest *)call->request;
	int ret = growth_wait(call->service->growth, request->more_mib, request->left_mib, call->conn, call->stream, err);

	return ret < 0 ? ret : LATER;
}

static int stats(const struct call *call, struct err *err)
{
	const Cella__Agent__ProcessRef *request = (const Cella__Agent__ProcessRef *)call->request;
	struct container *container = find_container(call, request->id, err);
	Cella__Agent__StatsResponse response = CELLA__AGENT__STATS_RESPONSE__INIT;
	struct stats *collected = container ? stats_collect(container_cgroup(container), container_network(container), &response, err) : NULL;

	if (!collected)
		return -err->code;
	ttrpc_reply(call->conn, call->stream, &response.base);
	stats_free(collected);
	return LATER;
}

static int delete_container(const struct call *call, struct err *err)
{
	const Cella__Agent__ProcessRef *request = (const Cella__Agent__ProcessRef *)call->request;
	struct container *container = find_container(call, request->id, err);

	return container ? container_delete(call->service->containers, container, err) : -err->code;
}

static int connect_forward(const struct call *call, struct err *err)
{
	const Cella__Agent__ConnectRequest *request = (const Cella__Agent__ConnectRequest *)call->request;
	struct container *container;
	int namespace = NETWORK_OF_GUEST, ret;

	if (find_network(call, request->container, &container, &namespace, err) < 0 ||
	    network_namespace_enter(namespace, err) < 0)
		return -err->code;
	ret = forward_connect(call->service->loop, request, container ? container_network_number(container) : 0, call->conn,
			      call->stream, err);
	network_namespace_leave(namespace);
	return ret < 0 ? ret : LATER;
}

static const struct {
	const char *method;
	const ProtobufCMessageDescriptor *request;
	call_handler *handle;
} methods[] = {
	{ "SetupGuest", &cella__agent__setup_guest_request__descriptor, setup_guest },
	{ "SetUpNetwork", &cella__agent__network__descriptor, set_up_network },
	{ "RemoveInterface", &cella__agent__remove_interface_request__descriptor, remove_interface },
	{ "CreateContainer", &cella__agent__create_container_request__descriptor, create_container },
	{ "StartContainer", &cella__agent__process_ref__descriptor, start_container },
	{ "ExecProcess", &cella__agent__exec_process_request__descriptor, exec_process },
	{ "SignalProcess", &cella__agent__signal_process_request__descriptor, signal_process },
	{ "WaitProcess", &cella__agent__process_ref__descriptor, wait_process },
	{ "ResizeTerminal", &cella__agent__resize_terminal_request__descriptor, resize_terminal },
	{ "ListProcesses", &cella__agent__process_ref__descriptor, list_processes },
	{ "DescribeProcesses", &cella__agent__process_ref__descriptor, describe_processes },
	{ "PauseContainer", &cella__agent__process_ref__descriptor, pause_container },
	{ "ResumeContainer", &cella__agent__process_ref__descriptor, resume_container },
	{ "UpdateContainer", &cella__agent__update_container_request__descriptor, update_container },
	{ "WaitMemory", &cella__agent__wait_memory_request__descriptor, wait_memory },
	{ "Connect", &cella__agent__connect_request__descriptor, connect_forward },
	{ "Stats", &cella__agent__process_ref__descriptor, stats },
	{ "DeleteContainer", &cella__agent__process_ref__descriptor, delete_container },
};

static void request_arrived(void *ctx, struct ttrpc *conn, uint32_t stream, const char *service, const char *method,
			    const uint8_t *payload, size_t len)
{
	for (size_t i = 0; !strcmp(service, SERVICE_NAME) && i < ARRAY_SIZE(methods); i++) {
		struct call call = { .service = ctx, .conn = conn, .stream = stream };
		ProtobufCMessage *request;
		struct err err;
		int ret;

		if (strcmp(methods[i].method, method))
			continue;
		request = protobuf_c_message_unpack(methods[i].request, NULL, len, payload);
		if (!request) {
			ttrpc_reply_error(conn, stream, TTRPC_INVALID_ARGUMENT, "malformed message");
			return;
		}
		call.request = request;
		ret = methods[i].handle(&call, &err);
		if (ret < 0)
			ttrpc_reply_error(conn, stream, ttrpc_code_from_errno(err.code), err.msg);
		else if (ret != LATER)
			reply_empty(&call);
		protobuf_c_message_free_unpacked(request, NULL);
		return;
	}
	ttrpc_reply_error(conn, stream, TTRPC_UNIMPLEMENTED, "no such service or method");
}

static void connection_closed(void *ctx, struct ttrpc *conn)
{
	struct service *service = ctx;

	containers_connection_ended(service->containers, conn);
	growth_connection_ended(service->growth, conn);
	forward_connection_ended(conn);
	ttrpc_free(conn);
}

const struct ttrpc_ops service_ops = { .request = request_arrived, .closed = connection_closed };
