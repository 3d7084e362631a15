/* SPDX-License-Identifier: Apache-2.0 */
/* The last steps before exec. */
#include "agent/process_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/caps.h"
#include "agent/environment.h"
#include "lib/cleanup.h"
#include "lib/hooks.h"
#include "lib/json.h"
#include "lib/path.h"
#include "lib/rlimit.h"

#define GROUPS_MAX 1024
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* One child, one container: the descriptor lives from before pivot_root until exec closes it. */
static int proc_fd = -1;

int process_open_proc(struct err *err)
{
	proc_fd = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return proc_fd < 0 ? err_set(err, errno, "open /proc/self") : 0;
}

void process_close_proc(void)
{
	close(proc_fd);
	proc_fd = -1;
}

int terminal_open(int root, const json_t *process, int *ret_master, struct err *err)
{
	const json_t *size = json_object_get(process, "consoleSize");
	struct winsize window = {
		.ws_row = (unsigned short)json_get_integer(size, "height", 0),
		.ws_col = (unsigned short)json_get_integer(size, "width", 0),
	};
	int master = path_open_in_root(root, "/dev/pts/ptmx", O_RDWR | O_NOCTTY);
	int unlock = 0, slave;

	if (master < 0)
		return err_set(err, -master, "open /dev/pts/ptmx (a terminal needs a devpts mount on /dev/pts)");
	slave = ioctl(master, TIOCSPTLCK, &unlock) < 0 ? -1 : ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0 || (window.ws_row && ioctl(master, TIOCSWINSZ, &window) < 0)) {
		int saved = errno;

		close(master);
		return err_set(err, saved, "open a terminal");
	}
	*ret_master = master;
	return slave;
}

/* 0 if path names an executable file, else errno. */
static int check_executable(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno;
	/* A directory as well: execve(2) says so, and engines look for these words. */
	if (!S_ISREG(st.st_mode) || !(st.st_mode & 0111))
		return EACCES;
	/* A mount may be noexec. */
	return access(path, X_OK) < 0 ? errno : 0;
}

static int search_path(struct process_setup *setup, const char *name, struct err *err)
{
	auto_free char *path = strdup(environment_find(setup->process, "PATH", DEFAULT_PATH));
	char *directory, *rest = path;
	int found = ENOENT;

	while (rest && (directory = strsep(&rest, ":"))) {
		int error;

		if (snprintf(setup->program, sizeof(setup->program), "%s/%s", *directory ? directory : ".", name) >=
		    (int)sizeof(setup->program))
			continue;
		error = check_executable(setup->program);
		if (error == 0)
			return 0;
		if (error == EACCES)
			found = EACCES;
	}
	if (found == EACCES)
		return err_set(err, EACCES, "exec: \"%s\"", name);
	return err_msg(err, ENOENT, "exec: \"%s\": executable file not found in $PATH", name);
}

int process_resolve(struct process_setup *setup, struct err *err)
{
	const char *cwd = json_get_string(setup->process, "cwd", "/");
	const char *name = json_string_value(json_array_get(json_object_get(setup->process, "args"), 0));
	int error;

	if (!name || !*name)
		return err_msg(err, EINVAL, "process.args: nothing to execute");
	/* As runc: a working directory that is missing is made. */
	if (chdir(cwd) < 0) {
		auto_fd root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
		auto_fd made = errno == ENOENT ? path_make_directory(root, cwd, 0755) : -1;

		if (made < 0 || chdir(cwd) < 0)
			return err_set(err, errno, "chdir to process.cwd '%s'", cwd);
	}
	if (!strchr(name, '/'))
		return search_path(setup, name, err);
	if (strlen(name) >= sizeof(setup->program))
		return err_set(err, ENAMETOOLONG, "exec: \"%s\"", name);
	strcpy(setup->program, name);
	error = check_executable(name);
	if (error == ENOENT)
		return err_set(err, ENOENT, "exec: \"%s\": stat %s", name, name);
	if (error)
		return err_set(err, error, "exec: \"%s\"", name);
	return 0;
}

/* The user may open it anew, as after a login. Its group stays devpts' gid=. */
static int give_terminal_to_user(const struct process_setup *setup, struct err *err)
{
	uid_t uid = (uid_t)json_get_integer(json_object_get(setup->process, "user"), "uid", 0);

	return fchown(0, uid, (gid_t)-1) < 0 ? err_set(err, errno, "give the terminal to user %u", uid) : 0;
}

static int connect_stdio(struct process_setup *setup, struct err *err)
{
	for (int i = 0; i < 3; i++) {
		int from = setup->console >= 0 ? setup->console : setup->stdio[i];

		if (dup2(from, i) < 0)
			return err_set(err, errno, "connect standard stream %d", i);
	}
	if (setup->console >= 0 && ioctl(0, TIOCSCTTY, 0) < 0)
		return err_set(err, errno, "make the terminal the controlling one");
	return setup->console >= 0 ? give_terminal_to_user(setup, err) : 0;
}

int process_set_oom_score(const json_t *process, struct err *err)
{
	const json_t *score = json_object_get(process, "oomScoreAdj");
	auto_fd fd = -1;
	char text[24];
	int n;

	/* Without /proc at hand it has been set, on a parent. */
	if (!json_is_integer(score) || proc_fd < 0)
		return 0;
	fd = openat(proc_fd, "oom_score_adj", O_WRONLY | O_CLOEXEC);
	n = snprintf(text, sizeof(text), "%" PRId64, (int64_t)json_integer_value(score));
	if (fd < 0 || write(fd, text, (size_t)n) != n)
		return err_set(err, errno, "process.oomScoreAdj: %s", text);
	return 0;
}

static int set_rlimits(const json_t *process, struct err *err)
{
	const json_t *limits = json_object_get(process, "rlimits"), *entry;
	size_t i;

	json_array_foreach(limits, i, entry) {
		const char *name = json_get_string(entry, "type", "");
		int resource = rlimit_number(name);
		/* -1 travels as 18446744073709551615 or as -1: both are RLIM_INFINITY. */
		struct rlimit limit = {
			.rlim_cur = rlimit_value(json_object_get(entry, "soft")),
			.rlim_max = rlimit_value(json_object_get(entry, "hard")),
		};

		if (resource < 0 || setrlimit((__rlimit_resource_t)resource, &limit) < 0)
			return err_set(err, resource < 0 ? EINVAL : errno, "process.rlimits[%zu]: %s", i, name);
	}
	return 0;
}

static int set_scheduling(const json_t *process, struct err *err)
{
	static const char *const policies[] = {
		"SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "SCHED_ISO", "SCHED_IDLE", "SCHED_DEADLINE"
	};
	static const char *const classes[] = { "", "IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE" };
	const json_t *scheduler = json_object_get(process, "scheduler");
	const json_t *io = json_object_get(process, "ioPriority");
	/* sched_setattr(2): struct sched_attr, version 0 */
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
	} attr = { .size = sizeof(attr) };

	if (scheduler) {
		const char *policy = json_get_string(scheduler, "policy", "");

		while (attr.policy < ARRAY_SIZE(policies) && strcmp(policies[attr.policy], policy))
			attr.policy++;
		attr.nice = (int32_t)json_get_integer(scheduler, "nice", 0);
		attr.priority = (uint32_t)json_get_integer(scheduler, "priority", 0);
		attr.runtime = (uint64_t)json_get_integer(scheduler, "runtime", 0);
		attr.deadline = (uint64_t)json_get_integer(scheduler, "deadline", 0);
		attr.period = (uint64_t)json_get_integer(scheduler, "period", 0);
		if (json_array_size(json_object_get(scheduler, "flags")))
			return err_msg(err, ENOTSUP, "process.scheduler.flags: not supported");
		if (attr.policy == ARRAY_SIZE(policies) || syscall(SYS_sched_setattr, 0, &attr, 0) < 0)
			return err_set(err, attr.policy == ARRAY_SIZE(policies) ? EINVAL : errno,
				       "process.scheduler: policy '%s'", policy);
	}
	if (io) {
		const char *name = json_get_string(io, "class", "");
		size_t class = 0;

		while (class < ARRAY_SIZE(classes) && strcmp(classes[class], name))
			class ++;
		/* ioprio_set(2): IOPRIO_WHO_PROCESS is 1, the class is above 13 bits of data */
		if (class == ARRAY_SIZE(classes) ||
		    syscall(SYS_ioprio_set, 1, 0, (int)(class << 13 | (size_t)json_get_integer(io, "priority", 0))) < 0)
			return err_set(err, class == ARRAY_SIZE(classes) ? EINVAL : errno, "process.ioPriority: class '%s'",
				       name);
	}
	return 0;
}

static int set_personality(const json_t *config, struct err *err)
{
	const json_t *setting = json_object_get(json_object_get(config, "linux"), "personality");
	const char *domain = json_get_string(setting, "domain", "LINUX");

	if (!setting)
		return 0;
	if (personality(!strcmp(domain, "LINUX32") ? PER_LINUX32 : PER_LINUX) < 0)
		return err_set(err, errno, "linux.personality");
	return 0;
}

static int set_user(const struct process_setup *setup, struct err *err)
{
	const json_t *user = json_object_get(setup->process, "user");
	const json_t *groups = json_object_get(user, "additionalGids"), *entry;
	gid_t list[GROUPS_MAX];
	uid_t uid = (uid_t)json_get_integer(user, "uid", 0);
	gid_t gid = (gid_t)json_get_integer(user, "gid", 0);
	size_t i;

	if (json_array_size(groups) > GROUPS_MAX)
		return err_msg(err, E2BIG, "process.user.additionalGids: more than %d", GROUPS_MAX);
	json_array_foreach(groups, i, entry)
		list[i] = (gid_t)json_integer_value(entry);
	if (setgroups(json_array_size(groups), list) < 0)
		return err_set(err, errno, "process.user.additionalGids");
	/* The capabilities that process.capabilities leaves must survive the change of user. */
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return err_set(err, errno, "keep capabilities");
	if (setresgid(gid, gid, gid) < 0)
		return err_set(err, errno, "process.user.gid: %u", gid);
	if (setresuid(uid, uid, uid) < 0)
		return err_set(err, errno, "process.user.uid: %u", uid);
	umask((mode_t)json_get_integer(user, "umask", 0022));
	return 0;
}

static int load_seccomp(const struct process_setup *setup, struct err *err)
{
	struct sock_fprog program = { .len = (unsigned short)setup->seccomp_len,
				      .filter = (struct sock_filter *)setup->seccomp };

	if (!setup->seccomp_len)
		return 0;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, setup->seccomp_flags, &program) != 0)
		return err_set(err, errno, "linux.seccomp: load the filter");
	return 0;
}

/* The change of user has left the capabilities permitted, not effective. */
static int load_seccomp_privileged(const struct process_setup *setup, struct err *err)
{
	if (!setup->seccomp_len)
		return 0;
	return caps_raise(err) < 0 ? -err->code : load_seccomp(setup, err);
}

static char **string_array(const json_t *array)
{
	return (char **)json_string_list(array);
}

/* config.md, "startContainer": in the container, before the program. With no more power than it will have, seccomp's filter too. */
static int run_start_hooks(const struct process_setup *setup, struct err *err)
{
	json_t *state;
	int ret;

	if (!setup->id || !hooks_exist(setup->config, "startContainer"))
		return 0;
	state = json_pack("{s:s, s:s, s:s, s:i, s:s}", "ociVersion", json_get_string(setup->config, "ociVersion", ""), "id",
			  setup->id, "status", "created", "pid", (int)getpid(), "bundle", setup->bundle);
	if (state && json_object_get(setup->config, "annotations"))
		json_object_set(state, "annotations", json_object_get(setup->config, "annotations"));
	ret = hooks_run(setup->config, "startContainer", state, ".", err);
	json_decref(state);
	return ret;
}

int process_exec(struct process_setup *setup, struct err *err)
{
	const json_t *capabilities = json_object_get(setup->process, "capabilities");
	bool no_new_privileges = json_get_bool(setup->process, "noNewPrivileges", false);
	char **args = string_array(json_object_get(setup->process, "args"));
	char **env;
	int ret = connect_stdio(setup, err);

	if (ret == 0)
		ret = process_set_oom_score(setup->process, err);
	if (ret == 0)
		ret = set_rlimits(setup->process, err);
	if (ret == 0)
		ret = set_scheduling(setup->process, err);
	if (ret == 0)
		ret = set_personality(setup->config, err);
	env = environment_make(setup->process);
	if (ret == 0 && (!args || !env))
		ret = err_set(err, ENOMEM, "arguments");
	/* Nobody else's descriptors: what the agent holds is close-on-exec, but an image's interpreter is not to know. */
	if (ret == 0 && syscall(SYS_close_range, 3, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */) < 0)
		ret = err_set(err, errno, "close descriptors");
	if (ret == 0)
		ret = preserved_place(setup->preserved, err);
	if (ret == 0)
		ret = caps_limit_bounding(capabilities, err);
	if (ret == 0)
		ret = set_user(setup, err);
	/*
	 * Filters know what programs call, not what a runtime does: as late as can be. Without no_new_privs that takes
	 * CAP_SYS_ADMIN (seccomp(2)), so before the capabilities.
	 */
	if (ret == 0 && !no_new_privileges)
		ret = load_seccomp_privileged(setup, err);
	if (ret == 0)
		ret = caps_apply(capabilities, err);
	if (ret == 0 && no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		ret = err_set(err, errno, "process.noNewPrivileges");
	if (ret == 0 && no_new_privileges)
		ret = load_seccomp(setup, err);
	if (ret == 0)
		ret = run_start_hooks(setup, err);
	if (ret < 0)
		return ret;
	execve(setup->program, args, env);
	return err_set(err, errno, "exec: \"%s\"", args[0]);
}
