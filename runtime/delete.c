/* SPDX-License-Identifier: Apache-2.0 */
/* Taking a container away. */
#include "runtime/delete.h"

#include <errno.h>

#include "lib/json.h"
#include "lib/log.h"
#include "lib/hooks.h"
#include "runtime/host_cgroup.h"
#include "runtime/pod.h"
#include "runtime/state.h"

#define KILL_TIMEOUT_MS 10000

/* What fails here does not keep the rest: the network namespace is the engine's, and so are the hooks. */
static void after_the_end(struct state *state)
{
	struct err err;
	json_t *config = state_load_config(state, &err), *document;
	struct host_cgroup cgroup;

	if (host_cgroup_load(&cgroup, state->dirfd, &err) < 0 || host_cgroup_remove(&cgroup, &err) < 0)
		log_warn("%s", err.msg);
	/* Killed before it was written: there was nothing else of it either. */
	if (!config)
		return;
	if (pod_leave(state, config, &err) < 0)
		log_warn("%s", err.msg);
	state->status = STATUS_STOPPED;
	document = state_to_json(state);
	if (document && hooks_run(config, "poststop", document, json_get_string(document, "bundle", "/"), &err) < 0)
		log_warn("%s", err.msg);
	json_decref(document);
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
		after_the_end(&state);
		ret = state_remove(&state, err);
	}
	state_close(&state);
	return ret;
}
