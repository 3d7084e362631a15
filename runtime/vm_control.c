/* SPDX-License-Identifier: Apache-2.0 */
/* Commands to a VMM that runs. */
#include "runtime/vm_control.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fdpass.h"
#include "lib/io.h"
#include "lib/json.h"
#include "runtime/network_tap.h"

#define TIMEOUT_MS 10000
#define ANSWER_MAX 4096

/* *ret_fd, -1 before, gets what comes with a part of the answer; all else is closed. */
static ssize_t receive(int fd, char *buf, size_t len, int *ret_fd)
{
	int fds[FDPASS_MAX];
	size_t nfds;
	ssize_t n = fdpass_receive(fd, buf, len, fds, &nfds);

	for (size_t i = 0; i < nfds; i++) {
		if (ret_fd && *ret_fd < 0)
			*ret_fd = fds[i];
		else
			close(fds[i]);
	}
	return n;
}

/* One line. The VMM is jailed, but what it says is checked as if it were the guest's. ret_fd: NULL, or what may come with it. */
static json_t *read_answer(int fd, int *ret_fd, struct err *err)
{
	int64_t deadline = io_now_ms() + TIMEOUT_MS;
	char line[ANSWER_MAX];
	size_t used = 0;

	while (used < sizeof(line) && (used == 0 || line[used - 1] != '\n')) {
		ssize_t n;

		if (io_wait_readable(fd, deadline) < 0)
			break;
		n = receive(fd, line + used, sizeof(line) - used, ret_fd);
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

int vm_control_open(const char *vm_dir, struct err *err)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/control", vm_dir) >= (int)sizeof(path))
		return err_set(err, ENAMETOOLONG, "%s", vm_dir);
	return fdpass_connect(path, err);
}

/* Sends a line (with a descriptor unless passed is -1). The answer, new, if it says ok; else NULL. ret_fd: as read_answer. */
static json_t *ask_for(int fd, const char *line, int passed, int *ret_fd, struct err *err)
{
	int ret = fdpass_send(fd, line, strlen(line), &passed, passed >= 0 ? 1 : 0);
	json_t *answer = NULL;

	if (ret < 0)
		err_set(err, -ret, "write to the VMM");
	else
		answer = read_answer(fd, ret_fd, err);
	if (answer && !json_get_bool(answer, "ok", false)) {
		err_msg(err, EIO, "%s", json_get_string(answer, "error", "the VMM refuses"));
		json_decref(answer);
		return NULL;
	}
	return answer;
}

static json_t *ask(int fd, const char *line, int passed, struct err *err)
{
	return ask_for(fd, line, passed, NULL, err);
}

/* A command with one string, which is ours: letters, digits, dots. */
static int call_named(const char *vm_dir, const char *command, const char *key, const char *name, int passed, struct err *err)
{
	auto_fd fd = vm_control_open(vm_dir, err);
	char line[512];
	json_t *answer;

	if (fd < 0)
		return -err->code;
	if (snprintf(line, sizeof(line), "{\"command\":\"%s\",\"%s\":\"%s\"}\n", command, key, name) >= (int)sizeof(line))
		return err_set(err, ENAMETOOLONG, "%s", name);
	answer = ask(fd, line, passed, err);
	json_decref(answer);
	return answer ? 0 : -err->code;
}

int vm_control_add_share(const char *vm_dir, const char *name, int fd, struct err *err)
{
	return call_named(vm_dir, "add-share", "name", name, fd, err);
}

int vm_control_remove_share(const char *vm_dir, const char *name, struct err *err)
{
	return call_named(vm_dir, "remove-share", "name", name, -1, err);
}

int vm_control_add_disk(const char *vm_dir, const char *id, int fd, struct err *err)
{
	return call_named(vm_dir, "add-disk", "id", id, fd, err);
}

int vm_control_remove_devices(const char *vm_dir, const char *prefix, struct err *err)
{
	return call_named(vm_dir, "remove-devices", "prefix", prefix, -1, err);
}

int vm_control_open_socket(int fd, uint64_t id, struct err *err)
{
	auto_fd socket = -1;
	char line[80];
	json_t *answer;
	struct stat st;

	snprintf(line, sizeof(line), "{\"command\":\"open-socket\",\"id\":%" PRIu64 "}\n", id);
	answer = ask_for(fd, line, -1, &socket, err);
	json_decref(answer);
	if (!answer)
		return -err->code;
	if (socket < 0 || fstat(socket, &st) < 0 || !S_ISSOCK(st.st_mode) || !(fcntl(socket, F_GETFL) & O_PATH))
		return err_msg(err, EPROTO, "the VMM's answer: a socket");
	return fd_take(&socket);
}

int vm_control_set_memory(int fd, unsigned int mib, struct err *err)
{
	char line[64];
	json_t *answer;

	snprintf(line, sizeof(line), "{\"command\":\"memory\",\"mib\":%u}\n", mib);
	answer = ask(fd, line, -1, err);
	json_decref(answer);
	return answer ? 0 : -err->code;
}

int vm_control_get_memory(const char *vm_dir, unsigned int *ret_mib, struct err *err)
{
	auto_fd fd = vm_control_open(vm_dir, err);
	json_t *answer = fd < 0 ? NULL : ask(fd, "{\"command\":\"status\"}\n", -1, err);
	int64_t bytes;

	if (!answer)
		return -err->code;
	bytes = json_get_integer(answer, "memory", 0);
	json_decref(answer);
	if (bytes <= 0 || bytes >> 20 > UINT32_MAX)
		return err_msg(err, EPROTO, "the VMM's answer: memory");
	*ret_mib = (unsigned int)(bytes >> 20);
	return 0;
}

/* id is ours: letters, digits, dots. */
static int call_net(int fd, const char *command, const char *id, const uint8_t mac[6], int tap, struct err *err)
{
	char line[160], text[NETWORK_MAC_TEXT];
	json_t *answer;

	network_mac_text(mac, text);
	snprintf(line, sizeof(line), "{\"command\":\"%s\",\"mac\":\"%s\",\"id\":\"%s\"}\n", command, text, id);
	answer = ask(fd, line, tap, err);
	json_decref(answer);
	return answer ? 0 : -err->code;
}

int vm_control_add_net(int fd, const char *id, const uint8_t mac[6], int tap, struct err *err)
{
	return call_net(fd, "add-net", id, mac, tap, err);
}

int vm_control_remove_net(int fd, const uint8_t mac[6], struct err *err)
{
	return call_net(fd, "remove-net", "", mac, -1, err);
}
