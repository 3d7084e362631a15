/* SPDX-License-Identifier: Apache-2.0 */
/* From the links of a network namespace to taps and to what the guest is told. */
#include "runtime/network.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/json.h"
#include "lib/netlink.h"
#include "runtime/network_scan.h"
#include "runtime/network_tap.h"
#include "runtime/rootless.h"

/* linux.namespaces' network entry, or NULL. */
static json_t *namespace_entry(const json_t *config)
{
	const json_t *list = json_object_get(json_object_get(config, "linux"), "namespaces");
	json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry)
		if (!strcmp(json_get_string(entry, "type", ""), "network"))
			return entry;
	return NULL;
}

const char *network_namespace_path(const json_t *config)
{
	const char *path = json_get_string(namespace_entry(config), "path", "");

	return *path ? path : NULL;
}

bool network_is_the_hosts(const json_t *config)
{
	return !namespace_entry(config);
}

bool network_is_new(const json_t *config)
{
	return namespace_entry(config) && !network_namespace_path(config);
}

void network_set_namespace_path(json_t *config, const char *path)
{
	if (network_is_new(config))
		json_object_set_new(namespace_entry(config), "path", json_string(path));
}

bool network_forwards_ports(const struct network *network, const json_t *config)
{
	if (rootless() || (network->n == 0 && json_object_get(json_object_get(config, "linux"), "uidMappings")))
		return true;
	for (size_t i = 0; i < network->n; i++)
		if (network->links[i].is_tap)
			return true;
	return false;
}

static _Noreturn void hold(const char *namespace_path, pid_t parent, int ready)
{
	auto_fd fd = namespace_path && *namespace_path ? open(namespace_path, O_RDONLY | O_CLOEXEC) : -1;
	int error = 0;

	if (!namespace_path)
		error = unshare(CLONE_NEWNET) < 0 ? errno : 0;
	else if (*namespace_path)
		error = setns(fd, CLONE_NEWNET) < 0 ? errno : 0;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent || write(ready, &error, sizeof(error)) != sizeof(error))
		_exit(1);
	for (;;)
		pause();
}

pid_t network_hold(const char *namespace_path, struct err *err)
{
	auto_fd read_end = -1, write_end = -1;
	pid_t parent = getpid(), pid;
	int ends[2], error;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set(err, errno, "create a pipe");
	read_end = ends[0];
	write_end = ends[1];
	pid = fork();
	if (pid == 0)
		hold(namespace_path, parent, write_end);
	if (pid < 0)
		return err_set(err, errno, "fork");
	close(fd_take(&write_end));
	if (io_read_all(read_end, &error, sizeof(error)) < 0)
		error = EIO;
	if (error) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return err_set(err, error, "enter network namespace %s", namespace_path ? namespace_path : "(new)");
	}
	return pid;
}

int network_open_tun_dir(struct err *err)
{
	int fd = open("/dev/net", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_set(err, errno, "open /dev/net (for taps)") : fd;
}

static int scan_here(struct network *network, int fd, struct err *err)
{
	auto_fd proc_dir = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return proc_dir < 0 ? err_set(err, errno, "open /proc") : network_scan(network, fd, proc_dir, err);
}

static int take_over_here(int fd, void *ctx, struct err *err)
{
	struct network *network = ctx;
	int ret = scan_here(network, fd, err);
	auto_fd tun_dir = ret == 0 && network->n ? network_open_tun_dir(err) : -1;

	if (ret == 0 && network->n && tun_dir < 0)
		return tun_dir;
	for (size_t i = 0; i < network->n && ret == 0; i++)
		ret = network_connect_link(fd, tun_dir, &network->links[i], err);
	return ret;
}

/* Links without a live tap: one that has a tap is another VM's by now. */
static int give_back_here(int fd, void *ctx, struct err *err)
{
	struct network *network = ctx;
	int ret = scan_here(network, fd, err);

	for (size_t i = 0; i < network->n && ret == 0; i++)
		if (!network_has_tap(network, network->links[i].index))
			ret = network_remove_redirect(fd, network->links[i].index, err);
	return ret;
}

struct within {
	const char *namespace_path;
	int (*act)(int fd, void *ctx, struct err *err);
	void *ctx;
	struct err *err;
	int ret;
};

static void *act_within(void *arg)
{
	struct within *within = arg;
	auto_fd fd = -1, namespace = open(within->namespace_path, O_RDONLY | O_CLOEXEC);

	if (namespace < 0 || setns(namespace, CLONE_NEWNET) < 0) {
		within->ret = err_set(within->err, errno, "join network namespace %s", within->namespace_path);
		return NULL;
	}
	fd = netlink_open(within->err);
	within->ret = fd < 0 ? fd : within->act(fd, within->ctx, within->err);
	if (within->ret < 0)
		err_wrap(within->err, "network namespace %s", within->namespace_path);
	return NULL;
}

int network_within(const char *namespace_path, int (*act)(int fd, void *ctx, struct err *err), void *ctx, struct err *err)
{
	struct within within = { namespace_path, act, ctx, err, 0 };
	pthread_t thread;
	int error;

	/* setns(2) moves a thread. Nobody but root of the host could come back to where an ordinary user's engine lives. */
	error = pthread_create(&thread, NULL, act_within, &within);
	if (error == 0)
		error = pthread_join(thread, NULL);
	return error ? err_set(err, error, "start a thread") : within.ret;
}

int network_take_over(struct network *network, const char *namespace_path, struct err *err)
{
	*network = (struct network){ .n = 0 };
	return namespace_path ? network_within(namespace_path, take_over_here, network, err) : 0;
}

int network_give_back(const char *namespace_path, struct err *err)
{
	struct network network = { .n = 0 };
	int ret;

	/* A namespace that is gone has taken everything with it. */
	if (!namespace_path || access(namespace_path, F_OK) < 0)
		return 0;
	ret = network_within(namespace_path, give_back_here, &network, err);
	network_release(&network);
	return ret;
}

bool network_has_tap(const struct network *network, int link)
{
	for (size_t i = 0; i < network->ntaps; i++)
		if (network->taps[i].link == link)
			return true;
	return false;
}

void network_release(struct network *network)
{
	for (size_t i = 0; i < network->n; i++)
		if (network->links[i].tap >= 0)
			close(network->links[i].tap);
	if (network->message)
		cella__agent__network__free_unpacked(network->message, NULL);
	*network = (struct network){ .n = 0 };
}
