/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a created container. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/json.h"
#include "lib/log.h"
#include "runtime/agent_client.h"
#include "lib/hooks.h"
#include "runtime/launch.h"
#include "runtime/network_sync.h"
#include "runtime/vm_control.h"

/* config.md, "Poststart": one that fails is worth a warning, and the container goes on. */
static void run_poststart_hooks(struct state *state, const json_t *config)
{
	struct err err;
	json_t *document;

	if (hooks_exist(config, "poststart")) {
		state->status = STATUS_RUNNING;
		document = state_to_json(state);
		if (hooks_run(config, "poststart", document, json_get_string(document, "bundle", "/"), &err) < 0)
			log_warn("%s", err.msg);
		json_decref(document);
	}
}

/* Any link but the loopback interface, which is one of /proc/net/dev's three lines. */
static bool has_links(const struct state *state)
{
	char path[64];
	auto_free char *text = NULL;
	struct err ignored;
	int lines = 0;

	snprintf(path, sizeof(path), "/proc/%d/net/dev", (int)state->standin.pid);
	text = io_read_file(AT_FDCWD, path, 65536, NULL, &ignored);
	for (const char *c = text ? text : ""; *c; c++)
		lines += *c == '\n';
	return lines > 3;
}

struct sync {
	const struct state *state;
	struct network_guest guest;
};

static int call_agent(void *ctx, const char *method, const ProtobufCMessage *request, struct err *err)
{
	const struct sync *sync = ctx;

	return agent_call_once(sync->state->vm_dir, method, request, &cella__agent__empty__descriptor, NULL, err);
}

static int sync_here(int fd, void *ctx, struct err *err)
{
	struct sync *sync = ctx;
	struct network network = { .n = 0 };
	int ret = network_sync(&network, &sync->guest, fd, err);

	/* The stand-in may have seen a link before it had its addresses; telling the guest again changes nothing. */
	for (size_t i = 0; i < network.n && ret == 0; i++)
		ret = network_tell_agent(&network, &network.links[i], &sync->guest, err);
	network_release(&network);
	return ret;
}

/*
 * podman gives a container with a user namespace of its own its network between create and start. The stand-in follows,
 * but the process must not begin before it has.
 */
static int wait_for_network(const struct state *state, struct err *err)
{
	auto_fd lock = openat(state->dirfd, NETWORK_LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	auto_fd control = vm_control_open(state->vm_dir, err);
	auto_fd tun_dir = control < 0 ? -1 : network_open_tun_dir(err);
	auto_fd proc_dir = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct sync sync = {
		state,
		{ .control = control, .tun_dir = tun_dir, .proc_dir = proc_dir, .call = call_agent, .ctx = &sync },
	};
	char path[64];

	network_guest_name(&sync.guest, state->id, state->network);
	if (control < 0 || tun_dir < 0)
		return -err->code;
	if (proc_dir < 0)
		return err_set(err, errno, "open /proc");
	if (lock < 0 || flock(lock, LOCK_EX) < 0)
		return err_set(err, errno, "lock the network");
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)state->standin.pid);
	return network_within(path, sync_here, &sync, err);
}

static int start(struct state *state, const json_t *config, struct err *err)
{
	Cella__Agent__ProcessRef request = CELLA__AGENT__PROCESS_REF__INIT;

	if (network_is_new(config) && (state_owns_vm(state) || state->owns_network) && has_links(state) &&
	    wait_for_network(state, err) < 0)
		return -err->code;
	request.id = state->id;
	/* The flag first: a process that ends at once must not be found "created". */
	if (state_set_flag(state, "started", true, err) < 0)
		return -err->code;
	if (agent_call_once(state->vm_dir, "StartContainer", &request.base, &cella__agent__empty__descriptor, NULL, err) < 0)
		return -err->code;
	log_debug("container %s is started", state->id);
	run_poststart_hooks(state, config);
	return 0;
}

int launch_start(struct state *state, struct err *err)
{
	json_t *config;
	int ret;

	if (state->status != STATUS_CREATED)
		return err_msg(err, EINVAL, "cannot start container %s in the %s state", state->id,
			       status_names[state->status]);
	config = state_load_config(state, err);
	ret = config ? start(state, config, err) : -err->code;
	json_decref(config);
	return ret;
}

int launch_exit_status(const struct err *err)
{
	if (strstr(err->msg, "exec: \""))
		return err->code == ENOENT ? 127 : 126;
	return 1;
}
