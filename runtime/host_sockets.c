/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to sockets of the host. */
#include "runtime/host_sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/ports.h"
#include "lib/cleanup.h"
#include "lib/fdpass.h"
#include "lib/first_line.h"
#include "lib/log.h"
#include "lib/relay.h"
#include "lib/socket_greeting.h"
#include "runtime/host_datagrams.h"
#include "runtime/vm_control.h"

#define CONNECTIONS_MAX 256
#define FINISH_SECONDS 10
#define OWN_GROUPS_MAX 65536 /* NGROUPS_MAX */

/* connect(2) with the wrong type fails before the other end notices. */
static bool takes_datagrams(int fd)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	auto_fd probe = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d", fd);
	return probe >= 0 && connect(probe, (struct sockaddr *)&addr, sizeof(addr)) == 0;
}

int host_sockets_find(struct standin_job *job, const struct share_list *list, struct err *err)
{
	uint32_t random;

	for (size_t i = 0; i < list->n; i++) {
		const struct share *share = &list->shares[i];

		if (!share->is_socket || !takes_datagrams(share->fd))
			continue;
		if (job->nsockets == HOST_SOCKETS_MAX)
			return err_msg(err, E2BIG, "mounts: more than %d sockets of the host for datagrams", HOST_SOCKETS_MAX);
		job->sockets[job->nsockets++] = (struct standin_socket){ .fd = share->fd, .mount_index = share->mount_index };
	}
	/* Containers of a pod have one each, and do not know of each other. */
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return err_set(err, errno, "a port for sockets of the host");
	job->sockets_port = PORT_SOCKETS_FIRST + random % PORT_SOCKETS;
	return 0;
}

bool host_sockets_describe(const struct standin_job *job, const struct share *share, Cella__Agent__HostSocket *message)
{
	struct stat st;

	for (size_t i = 0; i < job->nsockets; i++) {
		if (job->sockets[i].mount_index != share->mount_index || fstat(share->fd, &st) < 0)
			continue;
		cella__agent__host_socket__init(message);
		message->mode = st.st_mode & 07777;
		message->uid = st.st_uid;
		message->gid = st.st_gid;
		return true;
	}
	return false;
}

/* NULL: the guest was given none of this index. */
static const struct standin_socket *find(const struct host_sockets *sockets, uint64_t index)
{
	for (size_t i = 0; i < sockets->job->nsockets; i++)
		if ((uint64_t)sockets->job->sockets[i].mount_index == index)
			return &sockets->job->sockets[i];
	return NULL;
}

/* An address has room for the number of a descriptor, and our /proc is not the one that has it any more. */
static int connect_here(const struct host_sockets *sockets, int fd, int target)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int ret;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%d", target);
	if (fchdir(sockets->descriptors) < 0)
		return -errno;
	ret = connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
	return chdir("/") < 0 ? -errno : ret;
}

/* Only effective ids are changed: the others are the way back. Who could not come back must not go on. ngroups -1: they are ours. */
static void come_back(uid_t uid, gid_t gid, const gid_t *groups, int ngroups)
{
	if (setresuid((uid_t)-1, uid, (uid_t)-1) < 0 || setresgid((gid_t)-1, gid, (gid_t)-1) < 0 ||
	    (ngroups >= 0 && setgroups((size_t)ngroups, groups) < 0))
		abort();
}

/*
 * The groups of whoever connects in place of ours. Ours stay where the container has them, of which the guest does not know all
 * numbers, and where a user namespace forbids to give them away: there no container's root is without them.
 */
static int take_groups(const struct host_sockets *sockets, const struct socket_greeting *who, bool *ret_taken)
{
	*ret_taken = false;
	if (sockets->job->keep_groups && who->ngroups)
		return 0;
	if (setgroups(who->ngroups, who->groups) < 0)
		return errno == EPERM && who->uid == geteuid() && who->gid == getegid() ? 0 : -errno;
	*ret_taken = true;
	return 0;
}

/* connect(2) as somebody else: SO_PEERCRED is of this moment. This process has one thread. */
static int connect_as(const struct host_sockets *sockets, int fd, int target, const struct socket_greeting *who)
{
	static gid_t own_groups[OWN_GROUPS_MAX];
	int nown = getgroups(OWN_GROUPS_MAX, own_groups), dumpable = prctl(PR_GET_DUMPABLE), ret;
	uid_t uid = geteuid();
	gid_t gid = getegid();
	bool taken;

	ret = nown < 0 ? -errno : take_groups(sockets, who, &taken);
	if (ret < 0)
		return ret;
	ret = setresgid((gid_t)-1, who->gid, (gid_t)-1) < 0 || setresuid((uid_t)-1, who->uid, (uid_t)-1) < 0 ?
		      -errno :
		      connect_here(sockets, fd, target);
	come_back(uid, gid, own_groups, taken ? nown : -1);
	/* A change of ids takes this away, and with it our own part of /proc. */
	(void)prctl(PR_SET_DUMPABLE, dumpable);
	return ret;
}

/* One in a shared directory, which only the VMM knows by this id. The caller's, or -errno. */
static int open_in_directory(const struct host_sockets *sockets, uint64_t id, struct err *err)
{
	auto_fd control = -1;

	if (fchdir(sockets->vm_dir) < 0)
		return err_set(err, errno, "the VM's directory");
	control = fdpass_connect("control", err);
	if (chdir("/") < 0)
		return err_set(err, errno, "back to the root");
	return control < 0 ? control : vm_control_open_socket(control, id, err);
}

/* who: NULL for datagrams, each of which says whose it is. */
static int dial(const struct host_sockets *sockets, int target, const struct socket_greeting *who)
{
	auto_fd fd = socket(AF_UNIX, (who ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int ret;

	if (fd < 0)
		return -errno;
	ret = who ? connect_as(sockets, fd, target, who) : connect_here(sockets, fd, target);
	return ret < 0 ? ret : fd_take(&fd);
}

struct host_connection {
	struct host_sockets *sockets;
	struct relay *relay; /* NULL: its first line is not here yet, or it is for datagrams */
	struct host_connection *next;
};

static void forget(struct host_connection *connection)
{
	struct host_sockets *sockets = connection->sockets;
	struct host_connection **at = &sockets->list;

	while (*at != connection)
		at = &(*at)->next;
	*at = connection->next;
	free(connection);
	sockets->connections--;
	if (sockets->finished && sockets->connections == 0)
		sockets->finished(sockets->ctx);
}

static void connection_done(void *ctx)
{
	forget(ctx);
}

static int dial_stream(const struct host_sockets *sockets, const struct socket_greeting *who)
{
	struct err err;
	auto_fd found = open_in_directory(sockets, who->socket, &err);
	int host;

	if (found < 0) {
		log_warn_limited("%s", err.msg);
		return found;
	}
	host = dial(sockets, found, who);
	if (host < 0)
		log_warn_limited("connect to a socket of the host as user %u, group %u: %s", who->uid, who->gid, strerror(-host));
	return host;
}

static int dial_datagrams(const struct host_sockets *sockets, const struct standin_socket *target)
{
	int host = dial(sockets, target->fd, NULL);

	if (host < 0)
		log_warn_limited("mounts[%d]: connect to the host's socket: %s", target->mount_index, strerror(-host));
	return host;
}

/* The host's end, or -errno. */
static int dial_as_told(const struct host_sockets *sockets, const char *line, bool *ret_datagrams)
{
	const struct standin_socket *target;
	struct socket_greeting who;
	bool told = line && socket_greeting_read(&who, line, strlen(line)) == 0;

	*ret_datagrams = told && !who.in_directory;
	if (told && who.in_directory)
		return dial_stream(sockets, &who);
	target = told ? find(sockets, who.socket) : NULL;
	if (target)
		return dial_datagrams(sockets, target);
	log_warn_limited("a connection from the guest does not say to which socket of the host, and for whom");
	return -EINVAL;
}

/* Owns both ends. */
static int join(struct host_connection *connection, int guest, int host, bool datagrams, struct err *err)
{
	const struct host_sockets *sockets = connection->sockets;

	if (datagrams)
		return host_datagrams_new(sockets->loop, guest, host, connection_done, connection, err) ? 0 : -err->code;
	connection->relay =
		relay_new(sockets->loop, guest, host, sockets->finished ? RELAY_THERE : RELAY_BOTH, connection_done, connection, err);
	return connection->relay ? 0 : -err->code;
}

static void guest_said(void *ctx, int guest, char *line)
{
	struct host_connection *connection = ctx;
	bool datagrams;
	int host = dial_as_told(connection->sockets, line, &datagrams);
	struct err err;

	if (host < 0) {
		close(guest);
		forget(connection);
	} else if (join(connection, guest, host, datagrams, &err) < 0) {
		log_warn_limited("%s", err.msg);
		forget(connection);
	}
}

static int add_connection(struct host_sockets *sockets, int guest, struct err *err)
{
	struct host_connection *connection = sockets->connections < CONNECTIONS_MAX ? calloc(1, sizeof(*connection)) : NULL;

	if (!connection) {
		close(guest);
		return err_msg(err, EBUSY, "not one more than %u connections of the guest's to sockets of the host", sockets->connections);
	}
	connection->sockets = sockets;
	if (first_line_read(sockets->loop, guest, SOCKET_GREETING_MAX, guest_said, connection, err) < 0) {
		free(connection);
		return -err->code;
	}
	connection->next = sockets->list;
	sockets->list = connection;
	sockets->connections++;
	return 0;
}

/* False: nobody is waiting. */
static bool take_connection(struct host_sockets *sockets)
{
	int guest = accept4(sockets->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct err err;

	if (guest < 0)
		return false;
	if (add_connection(sockets, guest, &err) < 0)
		log_warn_limited("%s", err.msg);
	return true;
}

static void guest_arrives(void *ctx, uint32_t events)
{
	(void)events;
	take_connection(ctx);
}

static void time_is_up(void *ctx, uint32_t events)
{
	struct host_sockets *sockets = ctx;

	/* Others may still have to be waited for. */
	if (events)
		loop_remove(sockets->loop, sockets->timer);
	log_warn("%u connections to sockets of the host did not take what the container said last in %d seconds", sockets->connections,
		 FINISH_SECONDS);
	sockets->given_up = true;
	sockets->finished(sockets->ctx);
}

void host_sockets_finish(struct host_sockets *sockets, void (*finished)(void *ctx), void *ctx)
{
	const struct itimerspec end = { .it_value.tv_sec = FINISH_SECONDS };
	struct host_connection *next;
	struct err err;

	if (!sockets->job)
		return;
	sockets->finished = finished;
	sockets->ctx = ctx;
	while (take_connection(sockets))
		;
	/* Whatever comes now the container has not said. */
	loop_remove(sockets->loop, sockets->listener);
	for (struct host_connection *connection = sockets->list; connection; connection = next) {
		next = connection->next;
		/* Nobody is there to be told anything. */
		if (connection->relay)
			relay_drop(connection->relay, RELAY_BACK);
	}
	if (sockets->connections == 0)
		return;
	sockets->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (sockets->timer < 0 || timerfd_settime(sockets->timer, 0, &end, NULL) < 0 ||
	    loop_add(sockets->loop, sockets->timer, EPOLLIN, time_is_up, sockets, &err) < 0)
		time_is_up(sockets, 0);
}

int host_sockets_start(struct host_sockets *sockets, const struct standin_job *job, struct loop *loop, struct err *err)
{
	char path[PATH_MAX + 32];

	if (job->sockets_port == 0)
		return 0;
	sockets->loop = loop;
	sockets->descriptors = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (sockets->descriptors < 0)
		return err_set(err, errno, "open /proc/self/fd");
	sockets->vm_dir = open(job->vm_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (sockets->vm_dir < 0)
		return err_set(err, errno, "open %s", job->vm_dir);
	snprintf(path, sizeof(path), "%s/vsock_%u", job->vm_dir, job->sockets_port);
	sockets->listener = fdpass_listen(path, 64, err);
	sockets->job = sockets->listener < 0 ? NULL : job;
	if (sockets->listener < 0)
		return -err->code;
	if (fcntl(sockets->listener, F_SETFL, O_NONBLOCK) < 0)
		return err_set(err, errno, "make %s non-blocking", path);
	return loop_add(loop, sockets->listener, EPOLLIN, guest_arrives, sockets, err);
}

void host_sockets_end(struct host_sockets *sockets)
{
	char name[32];

	if (!sockets->job)
		return;
	snprintf(name, sizeof(name), "vsock_%u", sockets->job->sockets_port);
	if (unlinkat(sockets->vm_dir, name, 0) < 0 && errno != ENOENT)
		log_warn("remove %s: %s", name, strerror(errno));
}
