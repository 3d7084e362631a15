/* SPDX-License-Identifier: Apache-2.0 */
/* Containers' directories. */
#include "runtime/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/json.h"
#include "runtime/runtime.h"
#include "runtime/spec.h"

#define STATE_FILE_MAX (1 << 20)
#define NETWORKS_MAX 64 /* of containers of one VM, beside its own */

const char *const status_names[] = { "creating", "created", "running", "paused", "stopped" };

int state_check_id(const char *id, struct err *err)
{
	size_t n = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-.");

	if (!*id)
		return err_msg(err, EINVAL, "container id cannot be empty");
	if (id[n] || n > STATE_ID_MAX || !strcmp(id, ".") || !strcmp(id, ".."))
		return err_msg(err, EINVAL, "invalid container id '%.64s' (letters, digits and _+-. are allowed)", id);
	return 0;
}

/* "pid (comm) S ppid ...": comm may hold anything, so the fields are counted from the last parenthesis. */
static int read_stat(pid_t pid, char *ret_state, uint64_t *ret_start)
{
	char path[64];
	auto_free char *text = NULL;
	unsigned long long start;
	struct err err;
	char *after;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	text = io_read_file(AT_FDCWD, path, 8192, NULL, &err);
	after = text ? strrchr(text, ')') : NULL;
	if (!after || sscanf(after + 2, "%c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
			     ret_state, &start) != 2)
		return -ESRCH;
	*ret_start = start;
	return 0;
}

int process_identify(pid_t pid, struct process_id *id)
{
	char state;

	id->pid = pid;
	return pid > 0 ? read_stat(pid, &state, &id->start_time) : -ESRCH;
}

/* Whether the pid is still that process's; *ret_state as in proc(5). */
static bool is_same_process(const struct process_id *id, char *ret_state)
{
	uint64_t start;

	return id->pid > 0 && read_stat(id->pid, ret_state, &start) == 0 && start == id->start_time;
}

bool process_alive(const struct process_id *id)
{
	char state;

	return is_same_process(id, &state) && state != 'Z' && state != 'X';
}

void process_kill_wait(const struct process_id *id, int timeout_ms)
{
	auto_fd pidfd = id->pid > 0 ? (int)syscall(SYS_pidfd_open, id->pid, 0) : -1;
	struct pollfd pfd = { .fd = pidfd, .events = POLLIN };
	char state;

	/*
	 * The descriptor first, then the look: from here on it is this process or none. A zombie is waited for as well:
	 * its other threads may still be on their way, with its files open.
	 */
	if (pidfd < 0 || !is_same_process(id, &state))
		return;
	if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) == 0)
		while (poll(&pfd, 1, timeout_ms) < 0 && errno == EINTR)
			;
}

static void set_vm(struct state *state, const char *root, const char *owner)
{
	snprintf(state->vm_owner, sizeof(state->vm_owner), "%s", owner);
	snprintf(state->vm_dir, sizeof(state->vm_dir), "%s/%s/vm", root, owner);
}

static int set_directory(struct state *state, const char *root, const char *id, struct err *err)
{
	memset(state, 0, sizeof(*state));
	state->dirfd = -1;
	if (state_check_id(id, err) < 0)
		return -err->code;
	strcpy(state->id, id);
	if (snprintf(state->directory, sizeof(state->directory), "%s/%s", root, id) >= (int)sizeof(state->directory))
		return err_set(err, ENAMETOOLONG, "state directory of %s", id);
	set_vm(state, root, id);
	return 0;
}

int state_join_vm(struct state *state, const char *root, const char *owner, struct err *err)
{
	set_vm(state, root, owner);
	return io_replace_file(state->dirfd, "vm-owner", owner, strlen(owner), 0600, err);
}

#define NETWORK_PATH_MAX (PATH_MAX + 32)

static void network_path(const struct state *state, unsigned int network, char path[NETWORK_PATH_MAX])
{
	snprintf(path, NETWORK_PATH_MAX, "%s/../network-%u", state->vm_dir, network);
}

/* "<number>", and " own" if it was made for this container. */
static int write_network(struct state *state, unsigned int network, bool own, struct err *err)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%u%s", network, own ? " own" : "");

	state->network = network;
	state->owns_network = own;
	return io_replace_file(state->dirfd, "network", text, (size_t)n, 0600, err);
}

static int read_network(struct state *state, struct err *err)
{
	auto_free char *text = io_read_file(state->dirfd, "network", 32, NULL, err);
	char *end;

	if (!text)
		return err->code == ENOENT ? 0 : -err->code;
	state->network = (unsigned int)strtoul(text, &end, 10);
	state->owns_network = !strcmp(end, " own");
	return 0;
}

int state_share_network(struct state *state, unsigned int network, struct err *err)
{
	return write_network(state, network, false, err);
}

int state_take_network(struct state *state, struct err *err)
{
	for (unsigned int network = 1; network <= NETWORKS_MAX; network++) {
		char path[NETWORK_PATH_MAX];
		auto_fd fd = -1;

		network_path(state, network, path);
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd >= 0)
			return write_network(state, network, true, err);
		if (errno != EEXIST)
			return err_set(err, errno, "a network in the VM of %s", state->vm_owner);
	}
	return err_msg(err, ENOSPC, "the VM of %s has more than %d networks", state->vm_owner, NETWORKS_MAX);
}

void state_leave_network(const struct state *state)
{
	char path[NETWORK_PATH_MAX];

	network_path(state, state->network, path);
	/* It is gone if the VM is. */
	if (state->owns_network)
		unlink(path);
}

static int read_vm_owner(struct state *state, const char *root, struct err *err)
{
	auto_free char *owner = io_read_file(state->dirfd, "vm-owner", STATE_ID_MAX, NULL, err);

	if (!owner)
		return err->code == ENOENT ? 0 : -err->code;
	if (state_check_id(owner, err) < 0)
		return -err->code;
	set_vm(state, root, owner);
	return read_network(state, err);
}

bool state_owns_vm(const struct state *state)
{
	return !strcmp(state->vm_owner, state->id);
}

int state_create(struct state *state, const char *root, const char *id, struct err *err)
{
	if (set_directory(state, root, id, err) < 0 || io_mkdir_parents(AT_FDCWD, root, 0700, err) < 0)
		return -err->code;
	if (mkdir(state->directory, 0700) < 0) {
		if (errno == EEXIST)
			return err_msg(err, EEXIST, "container with given ID already exists: %s", id);
		return err_set(err, errno, "mkdir %s", state->directory);
	}
	state->dirfd = open(state->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* As long as we are there, others may wait for the container (state_is_being_created), who hold the lock for no time at all. */
	if (state->dirfd < 0 || flock(state->dirfd, LOCK_EX) < 0 || mkdirat(state->dirfd, "vm", 0700) < 0)
		return err_set(err, errno, "set up %s", state->directory);
	return 0;
}

bool state_is_being_created(const struct state *state)
{
	if (state->status != STATUS_CREATING)
		return false;
	if (flock(state->dirfd, LOCK_SH | LOCK_NB) < 0)
		return errno == EWOULDBLOCK;
	flock(state->dirfd, LOCK_UN);
	return false;
}

static void read_process(const json_t *document, const char *pid, const char *start, struct process_id *id)
{
	id->pid = (pid_t)json_get_integer(document, pid, 0);
	id->start_time = (uint64_t)json_get_integer(document, start, 0);
}

static enum status find_status(const struct state *state)
{
	if (!state->document)
		return STATUS_CREATING;
	if (!process_alive(&state->standin))
		return STATUS_STOPPED;
	if (faccessat(state->dirfd, "paused", F_OK, 0) == 0)
		return STATUS_PAUSED;
	return faccessat(state->dirfd, "started", F_OK, 0) == 0 ? STATUS_RUNNING : STATUS_CREATED;
}

int state_open(struct state *state, const char *root, const char *id, struct err *err)
{
	auto_free char *text = NULL;
	struct err read_err;
	size_t len;

	if (set_directory(state, root, id, err) < 0)
		return -err->code;
	state->dirfd = open(state->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (state->dirfd < 0 && errno == ENOENT)
		return err_msg(err, ENOENT, "container does not exist: %s", id);
	if (state->dirfd < 0)
		return err_set(err, errno, "open %s", state->directory);
	if (read_vm_owner(state, root, err) < 0)
		return -err->code;
	text = io_read_file(state->dirfd, "state.json", STATE_FILE_MAX, &len, &read_err);
	if (!text && read_err.code != ENOENT) {
		*err = read_err;
		return -err->code;
	}
	if (text) {
		state->document = json_parse_object(text, len, "state.json", err);
		if (!state->document)
			return -err->code;
		read_process(state->document, "pid", "pidStartTime", &state->standin);
		read_process(state->document, "vmmPid", "vmmStartTime", &state->vmm);
		state->vm_memory_mib = (unsigned int)json_get_integer(state->document, "vmMemoryMib", 0);
	}
	state->status = find_status(state);
	return 0;
}

void state_close(struct state *state)
{
	json_decref(state->document);
	state->document = NULL;
	if (state->dirfd >= 0)
		close(state->dirfd);
	state->dirfd = -1;
}

int state_commit(struct state *state, const char *bundle, const json_t *config, struct err *err)
{
	json_t *annotations = json_object_get(config, "annotations");
	auto_free char *text = NULL;
	char created[IO_TIMESTAMP_MAX];
	int ret;

	io_timestamp(created);
	state->document = json_pack("{s:s, s:s, s:s, s:s, s:i, s:I, s:i, s:I, s:i, s:s, s:O, s:b}", "ociVersion",
				    RUNTIME_OCI_VERSION, "id", state->id, "bundle", bundle, "created", created, "pid",
				    (int)state->standin.pid, "pidStartTime", (json_int_t)state->standin.start_time, "vmmPid",
				    (int)state->vmm.pid, "vmmStartTime", (json_int_t)state->vmm.start_time, "vmMemoryMib",
				    (int)state->vm_memory_mib, "rootfs",
				    json_get_string(json_object_get(config, "root"), "path", ""), "annotations",
				    annotations ? annotations : json_null(), "terminal",
				    json_get_bool(json_object_get(config, "process"), "terminal", false));
	text = state->document ? json_dumps(state->document, JSON_COMPACT) : NULL;
	if (!text)
		return err_set(err, ENOMEM, "state.json");
	ret = io_replace_file(state->dirfd, "state.json", text, strlen(text), 0600, err);
	return ret;
}

json_t *state_to_json(const struct state *state)
{
	const json_t *document = state->document;
	json_t *annotations = json_object_get(document, "annotations");
	bool alive = state->status != STATUS_STOPPED && state->status != STATUS_CREATING;
	json_t *out = json_pack("{s:s, s:s, s:i, s:s, s:s, s:s, s:s, s:s}", "ociVersion", RUNTIME_OCI_VERSION, "id", state->id,
				"pid", alive ? (int)state->standin.pid : 0, "status", status_names[state->status], "bundle",
				json_get_string(document, "bundle", ""), "rootfs", json_get_string(document, "rootfs", ""),
				"created", json_get_string(document, "created", ""), "owner", "");

	if (out && json_is_object(annotations))
		json_object_set(out, "annotations", annotations);
	return out;
}

json_t *state_load_config(const struct state *state, struct err *err)
{
	size_t len;
	auto_free char *text = io_read_file(state->dirfd, "config.json", SPEC_FILE_MAX, &len, err);

	return text ? json_parse_object(text, len, "config.json", err) : NULL;
}

int state_for_each(const char *root, int (*look)(const struct state *state, void *ctx), void *ctx)
{
	auto_dir dir = opendir(root);
	struct dirent *entry;
	int ret = 0;

	while (dir && ret == 0 && (entry = readdir(dir))) {
		struct state state;
		struct err ignored; /* it may go in this moment */

		if (entry->d_name[0] == '.')
			continue;
		if (state_open(&state, root, entry->d_name, &ignored) == 0)
			ret = look(&state, ctx);
		state_close(&state);
	}
	return ret;
}

int state_set_flag(struct state *state, const char *name, bool set, struct err *err)
{
	if (set) {
		auto_fd fd = openat(state->dirfd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		return fd < 0 ? err_set(err, errno, "mark %s as %s", state->id, name) : 0;
	}
	if (unlinkat(state->dirfd, name, 0) < 0 && errno != ENOENT)
		return err_set(err, errno, "mark %s as not %s", state->id, name);
	return 0;
}

int state_remove(struct state *state, struct err *err)
{
	return io_remove_tree(AT_FDCWD, state->directory, err);
}
