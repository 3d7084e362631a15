/* SPDX-License-Identifier: Apache-2.0 */
/* Forks: namespaces on the way to a container's process. */
#include "agent/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/cgroup_namespace.h"
#include "agent/network_namespace.h"
#include "agent/ports.h"
#include "agent/process_setup.h"
#include "lib/batch.h"
#include "lib/cleanup.h"
#include "lib/fdpass.h"
#include "lib/id_map.h"
#include "lib/io.h"
#include "lib/json.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

static const struct {
	const char *type;
	unsigned long flag;
	bool at_clone; /* else later, by unshare(2) */
} namespaces[] = {
	{ "pid", CLONE_NEWPID, true },	   { "mount", CLONE_NEWNS, true }, { "ipc", CLONE_NEWIPC, true },
	{ "uts", CLONE_NEWUTS, true },	   { "user", CLONE_NEWUSER, true },
	/* After the process is in its cgroup, which becomes the namespace's root. */
	{ "cgroup", CLONE_NEWCGROUP, false },
	/* Offsets are set between unshare and entering. */
	{ "time", CLONE_NEWTIME, false },
	/* "network" is absent: the agent makes them (network_namespace.h). */
};

static const json_t *find_namespace(const json_t *config, const char *type)
{
	const json_t *list = json_object_get(json_object_get(config, "linux"), "namespaces"), *entry;
	size_t i;

	json_array_foreach(list, i, entry)
		if (!strcmp(json_get_string(entry, "type", ""), type))
			return entry;
	return NULL;
}

bool spawn_wants_namespace(const json_t *config, const char *type)
{
	return find_namespace(config, type) != NULL;
}

bool spawn_joins_namespace(const json_t *config, const char *type)
{
	return *json_get_string(find_namespace(config, type), "path", "") != '\0';
}

static void report(const struct spawn *spawn, enum spawn_event event, pid_t pid, const struct err *err)
{
	struct spawn_report message = { .event = event, .pid = pid };

	if (err)
		message.err = *err;
	/* If the agent is gone, this VM is. */
	if (write(spawn->report, &message, sizeof(message)) != sizeof(message))
		_exit(1);
}

static _Noreturn void fail(const struct spawn *spawn, const struct err *err)
{
	report(spawn, SPAWN_FAILED, 0, err);
	_exit(1);
}

/* Waits for the parent's byte; a parent that closed the pipe gave up. */
static void wait_for(int fd)
{
	char byte;

	if (io_read_all(fd, &byte, 1) < 0)
		_exit(1);
}

/* Signals as a program expects them: the agent blocks what it reads from its signalfd. */
static void reset_signals(void)
{
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* A report is due until exec has succeeded: its socket must not be where preserved descriptors are put. */
static int move_report(struct spawn *spawn, struct err *err)
{
	spawn->report = fcntl(spawn->report, F_DUPFD_CLOEXEC, PRESERVED_FIRST + (int)spawn->preserved->n);
	return spawn->report < 0 ? err_set(err, errno, "report descriptor") : 0;
}

/* Everything up to exec, shared by first and exec'd processes, in the container's namespaces. */
static _Noreturn void become_process(const struct spawn *of_agent, int console)
{
	struct spawn copy = *of_agent, *spawn = &copy;
	struct process_setup setup = {
		.config = spawn->config,
		.process = spawn->process,
		.seccomp = spawn->seccomp,
		.seccomp_len = spawn->seccomp_len,
		.seccomp_flags = spawn->seccomp_flags,
		.preserved = spawn->preserved,
		.console = console,
		.own_user_namespace = spawn_wants_namespace(spawn->config, "user"),
		.id = spawn->rootfs.id,
		.bundle = spawn->bundle,
	};
	struct err err;

	memcpy(setup.stdio, spawn->stdio, sizeof(setup.stdio));
	if (process_resolve(&setup, &err) < 0)
		fail(spawn, &err);
	if (move_report(spawn, &err) < 0)
		fail(of_agent, &err);
	report(spawn, SPAWN_CREATED, 0, NULL);
	wait_for(spawn->start);
	if (process_exec(&setup, &err) < 0)
		fail(spawn, &err);
	_exit(1); /* not reached: process_exec only returns failures */
}

/* The terminal belongs to the container's devpts, so that its name is right inside. */
static int open_terminal(const struct spawn *spawn, int rootfs, struct err *err)
{
	struct spawn_report message = { .event = SPAWN_TERMINAL };
	auto_fd master = -1;
	int slave = terminal_open(rootfs, spawn->process, &master, err);
	int ret;

	if (slave < 0)
		return slave;
	ret = fdpass_send(spawn->report, &message, sizeof(message), &master, 1);
	if (ret < 0) {
		close(slave);
		return err_set(err, -ret, "hand the terminal over");
	}
	return slave;
}

struct terminal_request {
	const struct spawn *spawn;
	int slave;
};

static int terminal_for_rootfs(void *ctx, int rootfs, struct err *err)
{
	struct terminal_request *request = ctx;

	request->slave = open_terminal(request->spawn, rootfs, err);
	return request->slave;
}

static int enter_user_namespace(struct err *err)
{
	if (syscall(SYS_setresgid, 0, 0, 0) < 0 || syscall(SYS_setresuid, 0, 0, 0) < 0)
		return err_set(err, errno, "become root of the user namespace");
	return 0;
}

/* time_namespaces(7): the offsets hold for whoever enters, and are fixed once somebody has. */
static int enter_time_namespace(const json_t *config, struct err *err)
{
	const json_t *offsets = json_object_get(json_object_get(config, "linux"), "timeOffsets");
	json_t *offset;
	const char *clock;
	auto_fd ns = -1;

	if (unshare(CLONE_NEWTIME) < 0)
		return err_set(err, errno, "create a time namespace");
	json_object_foreach((json_t *)offsets, clock, offset) {
		char line[96];

		snprintf(line, sizeof(line), "%s %" PRId64 " %" PRId64 "\n", clock, json_get_integer(offset, "secs", 0),
			 json_get_integer(offset, "nanosecs", 0));
		if (io_write_file(AT_FDCWD, "/proc/self/timens_offsets", line, err) < 0)
			return err_wrap(err, "linux.timeOffsets.%s", clock);
	}
	ns = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
	if (ns < 0 || setns(ns, CLONE_NEWTIME) < 0)
		return err_set(err, errno, "enter the time namespace");
	return 0;
}

static int set_names(const json_t *config, struct err *err)
{
	const char *hostname = json_get_string(config, "hostname", "");
	const char *domainname = json_get_string(config, "domainname", "");

	if (*hostname && sethostname(hostname, strlen(hostname)) < 0)
		return err_set(err, errno, "hostname '%s'", hostname);
	if (*domainname && setdomainname(domainname, strlen(domainname)) < 0)
		return err_set(err, errno, "domainname '%s'", domainname);
	return 0;
}

/* linux.sysctl: "net.ipv4.ip_forward" or with slashes. In the guest's /proc, in the container's namespaces. */
static int set_sysctls(const json_t *config, struct err *err)
{
	const json_t *sysctls = json_object_get(json_object_get(config, "linux"), "sysctl");
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)sysctls, key, value) {
		char path[512];
		int n = snprintf(path, sizeof(path), "/proc/sys/%s", key);

		if (n >= (int)sizeof(path) || strstr(key, "..") || !json_is_string(value))
			return err_msg(err, EINVAL, "linux.sysctl: '%s' is not the name of a sysctl", key);
		if (!strchr(key, '/'))
			for (char *dot = path; (dot = strchr(dot, '.'));)
				*dot = '/';
		if (io_write_file(AT_FDCWD, path, json_string_value(value), err) < 0)
			return err_wrap(err, "linux.sysctl.%s", key);
	}
	return 0;
}

/* Whether the container gets a new namespace of this type, rather than one of its pod. */
static bool wants_new(const struct spawn *spawn, const char *type)
{
	for (size_t i = 0; i < spawn->njoins; i++)
		if (!strcmp(spawn->joins[i].type, type))
			return false;
	return spawn_wants_namespace(spawn->config, type);
}

static _Noreturn void first_process(const struct spawn *spawn)
{
	struct terminal_request terminal = { .spawn = spawn, .slave = -1 };
	bool wants_terminal = json_get_bool(spawn->process, "terminal", false);
	struct err err;
	int ret = 0;

	if (setsid() < 0)
		ret = err_set(&err, errno, "start a session");
	/* Namespaced by network, or by ipc and uts: written while still the guest's root. */
	if (ret == 0)
		ret = set_sysctls(spawn->config, &err);
	if (ret == 0 && spawn_wants_namespace(spawn->config, "user"))
		ret = enter_user_namespace(&err);
	if (ret == 0 && spawn_wants_namespace(spawn->config, "cgroup") && unshare(CLONE_NEWCGROUP) < 0)
		ret = err_set(&err, errno, "create a cgroup namespace");
	if (ret == 0 && spawn_wants_namespace(spawn->config, "time"))
		ret = enter_time_namespace(spawn->config, &err);
	/* A pod's names are its sandbox's. */
	if (ret == 0 && wants_new(spawn, "uts"))
		ret = set_names(spawn->config, &err);
	if (ret == 0)
		ret = process_open_proc(&err);
	if (ret == 0)
		ret = rootfs_enter(&spawn->rootfs, wants_terminal ? terminal_for_rootfs : NULL, &terminal, &err);
	if (ret < 0)
		fail(spawn, &err);
	become_process(spawn, terminal.slave);
}

static unsigned long new_namespaces(const struct spawn *spawn)
{
	/* The root is pivoted in any case: without "mount" in the list the guest's own mounts would be changed. */
	unsigned long flags = CLONE_NEWNS;

	for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++)
		if (namespaces[i].at_clone && wants_new(spawn, namespaces[i].type))
			flags |= namespaces[i].flag;
	return flags;
}

/* setns(2): what a process of the pod has. For the pid namespace it counts for our children. */
static int join_pod(const struct spawn *spawn, struct err *err)
{
	for (size_t i = 0; i < spawn->njoins; i++) {
		auto_fd init = (int)syscall(SYS_pidfd_open, spawn->joins[i].init, 0);
		size_t k = 0;

		while (strcmp(namespaces[k].type, spawn->joins[i].type))
			k++;
		if (init < 0 || setns(init, (int)namespaces[k].flag) < 0)
			return err_set(err, errno, "linux.namespaces: join the %s namespace of the pod", spawn->joins[i].type);
	}
	return 0;
}

static _Noreturn void pod_helper(const struct spawn *spawn)
{
	struct err err;
	pid_t pid;

	reset_signals();
	wait_for(spawn->sync);
	if (join_pod(spawn, &err) < 0)
		fail(spawn, &err);
	pid = (pid_t)syscall(SYS_clone, new_namespaces(spawn) | CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, 0);
	if (pid == 0)
		first_process(spawn);
	if (pid < 0) {
		err_set(&err, errno, "create the container's process");
		fail(spawn, &err);
	}
	report(spawn, SPAWN_PID, pid, NULL);
	_exit(0);
}

bool spawn_has_helper(const struct spawn *spawn)
{
	return spawn->init || spawn->njoins;
}

/* Namespaces that are there already. Before the child is in a user namespace, whose root has no say in them. */
static int enter_of_guest(const struct spawn *spawn, struct err *err)
{
	if (network_namespace_enter(spawn->network, err) < 0)
		return -err->code;
	if (spawn_wants_namespace(spawn->config, "cgroup") || cgroup_namespace_enter(err) == 0)
		return 0;
	network_namespace_leave(spawn->network);
	return -err->code;
}

static void leave_of_guest(const struct spawn *spawn)
{
	if (!spawn_wants_namespace(spawn->config, "cgroup"))
		cgroup_namespace_leave();
	network_namespace_leave(spawn->network);
}

pid_t spawn_first_process(const struct spawn *spawn, struct err *err)
{
	unsigned long flags = spawn->njoins ? 0 : new_namespaces(spawn);
	pid_t pid;

	if (enter_of_guest(spawn, err) < 0)
		return -err->code;
	pid = (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, 0);
	if (pid < 0)
		err_set(err, errno, "create the container's process");
	if (pid != 0) {
		leave_of_guest(spawn);
		return pid < 0 ? -err->code : pid;
	}
	batch_end_in_child();
	if (spawn->njoins)
		pod_helper(spawn);
	reset_signals();
	wait_for(spawn->sync);
	first_process(spawn);
}

static int join_namespaces(const struct spawn *spawn, struct err *err)
{
	auto_fd init = (int)syscall(SYS_pidfd_open, spawn->init, 0);
	unsigned long flags = CLONE_NEWNS | CLONE_NEWCGROUP;

	if (init < 0)
		return err_set(err, errno, "find the container's first process");
	for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++)
		if (spawn_wants_namespace(spawn->config, namespaces[i].type))
			flags |= namespaces[i].flag;
	if (spawn->network != NETWORK_OF_GUEST)
		flags |= CLONE_NEWNET;
	/* setns(2): all at once, in the order that permissions need. */
	if (setns(init, (int)flags) < 0)
		return err_set(err, errno, "enter the container's namespaces");
	return 0;
}

static _Noreturn void exec_child(const struct spawn *spawn)
{
	struct err err;
	int console = -1;

	if (setsid() < 0) {
		err_set(&err, errno, "start a session");
		fail(spawn, &err);
	}
	if (json_get_bool(spawn->process, "terminal", false)) {
		auto_fd root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

		console = open_terminal(spawn, root, &err);
		if (console < 0)
			fail(spawn, &err);
	}
	become_process(spawn, console);
}

static _Noreturn void exec_helper(const struct spawn *spawn)
{
	struct err err;
	pid_t pid;

	batch_end_in_child();
	reset_signals();
	wait_for(spawn->sync);
	/* The OOM score is inherited; the child's /proc entry is not at hand here. */
	if (process_open_proc(&err) < 0 || process_set_oom_score(spawn->process, &err) < 0)
		fail(spawn, &err);
	process_close_proc();
	if (join_namespaces(spawn, &err) < 0)
		fail(spawn, &err);
	if (spawn_wants_namespace(spawn->config, "user") && enter_user_namespace(&err) < 0)
		fail(spawn, &err);
	/* In the container's pid namespace, but the agent's child. */
	pid = (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, 0);
	if (pid < 0) {
		err_set(&err, errno, "create the process");
		fail(spawn, &err);
	}
	if (pid == 0)
		exec_child(spawn);
	report(spawn, SPAWN_PID, pid, NULL);
	_exit(0);
}

pid_t spawn_exec_process(const struct spawn *spawn, struct err *err)
{
	pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0);

	if (pid < 0)
		return err_set(err, errno, "create the process");
	if (pid == 0)
		exec_helper(spawn);
	return pid;
}

uint32_t spawn_guest_id(const json_t *config, const char *mappings, uint32_t id)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(json_object_get(json_object_get(config, "linux"), mappings), i, entry) {
		int64_t first = json_get_integer(entry, "containerID", 0), host = json_get_integer(entry, "hostID", 0);

		/* Numbers that are no ids the kernel refuses, when the map is written. */
		if (first < 0 || first > id || host < 0 || host > UINT32_MAX)
			continue;
		if (id - first < json_get_integer(entry, "size", 0))
			return (uint32_t)(host + (id - first));
	}
	return id;
}

int spawn_write_id_maps(pid_t pid, const json_t *config, struct err *err)
{
	const json_t *linux_section = json_object_get(config, "linux");

	if (id_map_write(pid, "uid_map", json_object_get(linux_section, "uidMappings"), err) < 0 ||
	    id_map_write(pid, "gid_map", json_object_get(linux_section, "gidMappings"), err) < 0)
		return err_wrap(err, "linux");
	return 0;
}
