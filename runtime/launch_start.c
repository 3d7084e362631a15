/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a created container. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/json.h"
#include "lib/log.h"
#include "runtime/agent_client.h"
#include "runtime/hooks.h"
#include "runtime/launch.h"
#include "runtime/network.h"

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
