/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks. */
#include "lib/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/json.h"

#define WORDS_MAX 300 /* of a hook's stderr that go into an error */

const char *const hooks_kinds[] = { "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop" };
const size_t hooks_kind_count = ARRAY_SIZE(hooks_kinds);

static const json_t *list_of(const json_t *config, const char *kind)
{
	return json_object_get(json_object_get(config, "hooks"), kind);
}

bool hooks_exist(const json_t *config, const char *kind)
{
	return json_array_size(list_of(config, kind)) > 0;
}

struct hook {
	const char *path, *bundle;
	char **args, **env; /* owned lists of borrowed strings; env NULL: ours, as with runc and crun */
	int input, errors;  /* owned: the state to read, what it writes to stderr */
	int timeout_ms;	    /* -1: none */
};

static _Noreturn void become_hook(const struct hook *hook)
{
	char *const own_name[] = { (char *)hook->path, NULL };
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (null < 0 || dup2(hook->input, 0) < 0 || dup2(null, 1) < 0 || dup2(hook->errors, 2) < 0 || chdir(hook->bundle) < 0)
		_exit(125);
	syscall(SYS_close_range, 3, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);
	execve(hook->path, hook->args[0] ? hook->args : own_name, hook->env ? hook->env : environ);
	dprintf(2, "%s", strerror(errno));
	_exit(127);
}

/* The exit status of a child that gets timeout_ms, or -ETIMEDOUT: then it is killed. */
static int wait_for(pid_t pid, int timeout_ms)
{
	auto_fd pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd pfd = { .fd = pidfd, .events = POLLIN };
	int status, n;

	while ((n = poll(&pfd, 1, timeout_ms)) < 0 && errno == EINTR)
		;
	if (n == 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (n == 0)
		return -ETIMEDOUT;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int run(struct hook *hook, const char *where, struct err *err)
{
	char words[WORDS_MAX + 1] = "";
	ssize_t n;
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return err_set(err, errno, "%s: fork", where);
	if (pid == 0)
		become_hook(hook);
	status = wait_for(pid, hook->timeout_ms);
	if (status == -ETIMEDOUT)
		return err_msg(err, ETIMEDOUT, "%s: %s has not ended within %d s", where, hook->path, hook->timeout_ms / 1000);
	if (status == 0)
		return 0;
	n = pread(hook->errors, words, WORDS_MAX, 0);
	words[n > 0 ? n : 0] = '\0';
	return err_msg(err, ECANCELED, "%s: %s ended with status %d%s%s", where, hook->path, status, *words ? ": " : "", words);
}

static int run_one(const json_t *entry, const char *where, const char *state, const char *bundle, struct err *err)
{
	auto_fd input = memfd_create("state", MFD_CLOEXEC), errors = memfd_create("stderr", MFD_CLOEXEC);
	const json_t *env = json_object_get(entry, "env");
	int64_t timeout = json_get_integer(entry, "timeout", 0);
	auto_free char **args = (char **)json_string_list(json_object_get(entry, "args"));
	auto_free char **environment = env ? (char **)json_string_list(env) : NULL;
	struct hook hook = {
		.path = json_get_string(entry, "path", ""),
		.bundle = bundle,
		.args = args,
		.env = environment,
		.input = input,
		.errors = errors,
		.timeout_ms = timeout > 0 && timeout < INT32_MAX / 1000 ? (int)timeout * 1000 : -1,
	};

	if (!args || (env && !environment))
		return err_set(err, ENOMEM, "%s", where);
	if (input < 0 || errors < 0 || io_write_all(input, state, strlen(state)) < 0 || lseek(input, 0, SEEK_SET) < 0)
		return err_set(err, errno, "%s: hand the state over", where);
	return run(&hook, where, err);
}

int hooks_run(const json_t *config, const char *kind, const json_t *state, const char *bundle, struct err *err)
{
	auto_free char *text = json_dumps(state, JSON_COMPACT);
	const json_t *entry;
	size_t i;
	int ret = 0;

	if (!text)
		return err_set(err, ENOMEM, "hooks.%s", kind);
	json_array_foreach(list_of(config, kind), i, entry) {
		char where[64];

		snprintf(where, sizeof(where), "hooks.%s[%zu]", kind, i);
		ret = run_one(entry, where, text, bundle, err);
		if (ret < 0)
			return ret;
	}
	return 0;
}
