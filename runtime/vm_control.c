/* SPDX-License-Identifier: Apache-2.0 */
/* Commands to a VMM that runs. */
#include "runtime/vm_control.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fdpass.h"
#include "lib/io.h"
#include "lib/json.h"

#define TIMEOUT_MS 10000
#define ANSWER_MAX 4096

/* One line. The VMM is jailed, but what it says is checked as if it were the guest's. */
static json_t *read_answer(int fd, struct err *err)
{
	int64_t deadline = io_now_ms() + TIMEOUT_MS;
	char line[ANSWER_MAX];
	size_t used = 0;

	while (used < sizeof(line) && (used == 0 || line[used - 1] != '\n')) {
		ssize_t n;

		if (io_wait_readable(fd, deadline) < 0)
			break;
		n = recv(fd, line + used, sizeof(line) - used, 0);
		if (n <= 0)
			break;
		used += (size_t)n;
	}
	if (used == 0 || line[used - 1] != '\n') {
		err_msg(err, EIO, "the VMM does not answer");
		return NULL;
	}
	return json_parse_object(line, used, "the VMM's answer", err);
}

static int call(const char *vm_dir, const char *command, const char *name, int passed, struct err *err)
{
	char path[PATH_MAX], line[512];
	auto_fd fd = -1;
	json_t *answer;
	int n, ret;

	/* Names are ours: letters, digits, dots. */
	n = snprintf(line, sizeof(line), "{\"command\":\"%s\",\"name\":\"%s\"}\n", command, name);
	if (snprintf(path, sizeof(path), "%s/control", vm_dir) >= (int)sizeof(path) || n >= (int)sizeof(line))
		return err_set(err, ENAMETOOLONG, "%s", vm_dir);
	fd = fdpass_connect(path, err);
	if (fd < 0)
		return fd_take(&fd);
	ret = fdpass_send(fd, line, (size_t)n, &passed, passed >= 0 ? 1 : 0);
	if (ret < 0)
		return err_set(err, -ret, "%s", command);
	answer = read_answer(fd, err);
	if (!answer)
		return -err->code;
	if (!json_get_bool(answer, "ok", false))
		ret = err_msg(err, EIO, "%s", json_get_string(answer, "error", "the VMM refuses"));
	json_decref(answer);
	return ret;
}

int vm_control_add_share(const char *vm_dir, const char *name, int fd, struct err *err)
{
	return call(vm_dir, "add-share", name, fd, err);
}

int vm_control_remove_share(const char *vm_dir, const char *name, struct err *err)
{
	return call(vm_dir, "remove-share", name, -1, err);
}
