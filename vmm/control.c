/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket. */
#include "vmm/control.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fdpass.h"
#include "vmm/vm.h"

#define LINE_MAX_BYTES 4096
#define CLIENTS_MAX 16

struct descriptors {
	int passed;   /* that came with the line; owned, -1: none */
	int returned; /* that goes with the answer; owned, -1: none */
};

struct client {
	struct control *control; /* borrowed */
	int fd;			 /* owned */
	struct descriptors fds;
	char line[LINE_MAX_BYTES];
	size_t used;
	struct client *next;
};

struct control {
	struct loop *loop; /* borrowed */
	struct vm *vm;	   /* borrowed */
	int listen_fd;	   /* borrowed */
	struct client *clients;
	unsigned int nclients;
};

/* One command: adds to the answer, or fails with err. What was passed is taken by setting it to -1. */
typedef int command_handler(struct vm *vm, const json_t *request, json_t *answer, struct descriptors *fds, struct err *err);

static int command_status(struct vm *vm, const json_t *request, json_t *answer, struct descriptors *fds, struct err *err)
{
	struct vm_status status;

	(void)request;
	(void)fds;
	vm_status(vm, &status);
	if (json_object_set_new(answer, "state", json_string(status.paused ? "paused" : "running")) < 0 ||
	    json_object_set_new(answer, "vcpus", json_integer(status.vcpus)) < 0 ||
	    json_object_set_new(answer, "memory", json_integer((json_int_t)status.memory_bytes)) < 0 ||
	    json_object_set_new(answer, "balloon_mib", json_integer(status.balloon_mib)) < 0 ||
	    json_object_set_new(answer, "discarded", json_integer((json_int_t)status.discarded_bytes)) < 0)
		return err_set(err, ENOMEM, "answer");
	return 0;
}

static int command_pause(struct vm *vm, const json_t *request, json_t *answer, struct descriptors *fds, struct err *err)
{
	(void)request;
	(void)answer;
	(void)fds;
	(void)err;
	vm_pause(vm);
	return 0;
}

static int command_resume(struct vm *vm, const json_t *request, json_t *answer, struct descriptors *fds, struct err *err)
{
	(void)request;
	(void)answer;
	(void)fds;
	(void)err;
	vm_resume(vm);
	return 0;
}

static int command_stop(struct vm *vm, const json_t *request, json_t *answer, struct descriptors *fds, struct err *err)
{
	(void)request;
	(void)answer;
	(void)fds;
	(void)err;
	vm_stop(vm);
	return 0;
}

static int read_mib(const json_t *request, uint32_t *ret, struct err *err)
{
	const json_t *mib = json_object_get(request, "mib");

	if (!json_is_integer(mib) || json_integer_value(mib) < 0 || json_integer_value(mib) > UINT32_MAX)
		return err_msg(err, EINVAL, "mib must be a number");
	*ret = (uint32_t)json_integer_value(mib);
	return 0;
}

static int command_memory(struct vm *vm, const json_t *request, json_t *answer, struct descriptors *fds, struct err *err)
{
	uint32_t mib;

	(void)answer;
	(void)fds;
	return read_mib(request, &mib, err) < 0 ? -err->code : vm_set_memory(vm, mib, err);
}

static int command_balloon(struct vm *vm, const json_t *request, json_t *answer, struct descriptors *fds, struct err *err)
{
	uint32_t mib;

	(void)answer;
	(void)fds;
	return read_mib(request, &mib, err) < 0 ? -err->code : vm_set_balloon(vm, mib, err);
}

static int read_mac(const json_t *request, uint8_t mac[6], struct err *err)
{
	const char *text = json_string_value(json_object_get(request, "mac"));
	int end = 0;

	if (!text || sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4], &mac[5],
			    &end) != 6 || text[end])
		return err_msg(err, EINVAL, "mac must be an Ethernet address");
	return 0;
}

static int command_add_net(struct vm *vm, const json_t *request, json_t *answer, struct descriptors *fds, struct err *err)
{
	const char *id = json_string_value(json_object_get(request, "id"));
	uint8_t mac[6];

	(void)answer;
	if (fds->passed < 0)
		return err_msg(err, EINVAL, "a tap is needed");
	return read_mac(request, mac, err) < 0 ? -err->code : vm_add_net(vm, id ? id : "", mac, fds->passed, err);
}

static int command_remove_net(struct vm *vm, const json_t *request, json_t *answer, struct descriptors *fds, struct err *err)
{
	uint8_t mac[6];

	(void)answer;
	(void)fds;
	return read_mac(request, mac, err) < 0 ? -err->code : vm_remove_net(vm, mac, err);
}

static int command_add_disk(struct vm *vm, const json_t *request, json_t *answer, struct descriptors *fds, struct err *err)
{
	const char *id = json_string_value(json_object_get(request, "id"));

	(void)answer;
	if (!id || fds->passed < 0)
		return err_msg(err, EINVAL, "id and a descriptor are needed");
	return vm_add_disk(vm, id, fds->passed, err);
}

static int command_remove_devices(struct vm *vm, const json_t *request, json_t *answer, struct descriptors *fds, struct err *err)
{
	const char *prefix = json_string_value(json_object_get(request, "prefix"));

	(void)answer;
	(void)fds;
	return prefix && *prefix ? vm_remove_devices(vm, prefix, err) : err_msg(err, EINVAL, "prefix is needed");
}

static int command_add_share(struct vm *vm, const json_t *request, json_t *answer, struct descriptors *fds, struct err *err)
{
	const char *name = json_string_value(json_object_get(request, "name"));
	int ret;

	(void)answer;
	if (!name || fds->passed < 0)
		return err_msg(err, EINVAL, "name and a descriptor are needed");
	ret = vm_add_share(vm, name, fds->passed, err);
	if (ret == 0)
		fds->passed = -1;
	return ret;
}

static int command_remove_share(struct vm *vm, const json_t *request, json_t *answer, struct descriptors *fds, struct err *err)
{
	const char *name = json_string_value(json_object_get(request, "name"));

	(void)answer;
	(void)fds;
	return name ? vm_remove_share(vm, name, err) : err_msg(err, EINVAL, "name is needed");
}

static int command_open_socket(struct vm *vm, const json_t *request, json_t *answer, struct descriptors *fds, struct err *err)
{
	const json_t *id = json_object_get(request, "id");

	(void)answer;
	if (!json_is_integer(id) || json_integer_value(id) < 0)
		return err_msg(err, EINVAL, "id must be a number");
	fds->returned = vm_open_socket(vm, (uint64_t)json_integer_value(id), err);
	return fds->returned < 0 ? -err->code : 0;
}

static const struct {
	const char *name;
	command_handler *run;
} commands[] = {
	{ "status", command_status },
	{ "pause", command_pause },
	{ "resume", command_resume },
	{ "stop", command_stop },
	{ "memory", command_memory },
	{ "balloon", command_balloon },
	{ "add-net", command_add_net },
	{ "remove-net", command_remove_net },
	{ "add-disk", command_add_disk },
	{ "remove-devices", command_remove_devices },
	{ "add-share", command_add_share },
	{ "remove-share", command_remove_share },
	{ "open-socket", command_open_socket },
};

static int run_command(struct client *client, const json_t *request, json_t *answer, struct err *err)
{
	const char *name = json_string_value(json_object_get(request, "command"));

	for (size_t i = 0; name && i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			return commands[i].run(client->control->vm, request, answer, &client->fds, err);
	return err_msg(err, EINVAL, "unknown command");
}

/* Sends the answer. Returns false when the client does not take it: it is dropped then, nothing waits for it. */
static bool send_answer(struct client *client, json_t *answer)
{
	auto_free char *text = json_dumps(answer, JSON_COMPACT);
	char line[LINE_MAX_BYTES];
	int n = snprintf(line, sizeof(line), "%s\n", text ? text : "{\"ok\":false,\"error\":\"out of memory\"}");

	return fdpass_send(client->fd, line, (size_t)n, &client->fds.returned, client->fds.returned >= 0) == 0;
}

static bool answer_line(struct client *client, const char *line, size_t len)
{
	json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	json_t *answer = json_object();
	struct err err;
	int ret = request ? run_command(client, request, answer, &err) : err_msg(&err, EINVAL, "not a JSON object");
	bool alive;

	json_object_set_new(answer, "ok", json_boolean(ret == 0));
	if (ret < 0)
		json_object_set_new(answer, "error", json_string(err.msg));
	alive = send_answer(client, answer);
	json_decref(request);
	json_decref(answer);
	fd_close(&client->fds.passed);
	fd_close(&client->fds.returned);
	return alive;
}

static void drop(struct client *client)
{
	struct control *control = client->control;
	struct client **at = &control->clients;

	while (*at != client)
		at = &(*at)->next;
	*at = client->next;
	control->nclients--;
	loop_remove(control->loop, client->fd);
	close(client->fd);
	fd_close(&client->fds.passed);
	free(client);
}

static void client_ready(void *ctx, uint32_t events)
{
	struct client *client = ctx;
	int fds[FDPASS_MAX];
	size_t nfds;
	ssize_t n = fdpass_receive(client->fd, client->line + client->used, sizeof(client->line) - client->used, fds, &nfds);
	char *newline;

	(void)events;
	for (size_t i = 0; i < nfds; i++) {
		if (client->fds.passed < 0)
			client->fds.passed = fds[i];
		else
			close(fds[i]);
	}
	if (n <= 0) {
		drop(client);
		return;
	}
	client->used += (size_t)n;
	while ((newline = memchr(client->line, '\n', client->used))) {
		size_t len = (size_t)(newline - client->line);

		if (!answer_line(client, client->line, len)) {
			drop(client);
			return;
		}
		client->used -= len + 1;
		memmove(client->line, newline + 1, client->used);
	}
	if (client->used == sizeof(client->line))
		drop(client);
}

static void client_arrives(void *ctx, uint32_t events)
{
	struct control *control = ctx;
	int fd = accept4(control->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *client = control->nclients < CLIENTS_MAX ? calloc(1, sizeof(*client)) : NULL;
	struct err err;

	(void)events;
	if (fd < 0 || !client || loop_add(control->loop, fd, EPOLLIN, client_ready, client, &err) < 0) {
		if (fd >= 0)
			close(fd);
		free(client);
		return;
	}
	client->control = control;
	client->fd = fd;
	client->fds = (struct descriptors){ .passed = -1, .returned = -1 };
	client->next = control->clients;
	control->clients = client;
	control->nclients++;
}

struct control *control_new(struct loop *loop, int listen_fd, struct vm *vm, struct err *err)
{
	struct control *control = calloc(1, sizeof(*control));
	size_t seed;

	if (!control) {
		err_set(err, ENOMEM, "control socket");
		return NULL;
	}
	/* jansson would seed its hash tables at the first object, and open files for that: too late under the filter. */
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) {
		err_set(err, errno, "getrandom");
		free(control);
		return NULL;
	}
	json_object_seed(seed | 1);
	control->loop = loop;
	control->vm = vm;
	control->listen_fd = listen_fd;
	if (loop_add(loop, listen_fd, EPOLLIN, client_arrives, control, err) < 0) {
		free(control);
		return NULL;
	}
	return control;
}

void control_free(struct control *control)
{
	if (!control)
		return;
	while (control->clients)
		drop(control->clients);
	loop_remove(control->loop, control->listen_fd);
	free(control);
}
