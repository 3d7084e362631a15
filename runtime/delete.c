/* SPDX-License-Identifier: Apache-2.0 */
/* Taking a container away. */
#include "runtime/delete.h"

#include <errno.h>

#include "runtime/state.h"

#define KILL_TIMEOUT_MS 10000

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
		ret = state_remove(&state, err);
	}
	state_close(&state);
	return ret;
}
