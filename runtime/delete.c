/* SPDX-License-Identifier: Apache-2.0 */
/* Taking a container away. */
#include "runtime/delete.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/json.h"
#include "lib/log.h"
#include "runtime/network.h"
#include "runtime/spec.h"
#include "runtime/state.h"

#define KILL_TIMEOUT_MS 10000

/* The network namespace is the engine's, and may outlive the container. What fails here does not keep the rest. */
static void give_back_network(const struct state *state)
{
	struct err err;
	size_t len;
	auto_free char *text = io_read_file(state->dirfd, "config.json", SPEC_FILE_MAX, &len, &err);
	json_t *config = text ? json_parse_object(text, len, "config.json", &err) : NULL;

	if (config && network_give_back(network_namespace_path(config), &err) < 0)
		log_warn("%s", err.msg);
	json_decref(config);
}

int delete_container(struct runtime *runtime, const char *id, bool force, struct err *err)
{
	struct state state;
	int ret = state_open(&state, runtime->root, id, err);

	if (ret == -ENOENT && force)
		return 0;
	if (ret == 0 && !force && (state.status == STATUS_RUNNING || state.status == STATUS_PAUSED))
		ret = err_msg(err, EBUSY, "cannot delete container %s that is not stopped: %s", id, status_names[state.status]);
	if (ret == 0 || (force && state.dirfd >= 0)) {
		/* The VM ends with its stand-in; waiting for both means that nothing of it is left when we return. */
		process_kill_wait(&state.standin, KILL_TIMEOUT_MS);
		process_kill_wait(&state.vmm, KILL_TIMEOUT_MS);
		give_back_network(&state);
		ret = state_remove(&state, err);
	}
	state_close(&state);
	return ret;
}
