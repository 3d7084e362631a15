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
#include <sys/un.h>
#include <unistd.h>

#include "agent/ports.h"
#include "lib/cleanup.h"
#include "lib/fdpass.h"
#include "lib/first_line.h"
#include "lib/log.h"
#include "lib/relay.h"
#include "lib/socket_greeting.h"

#define CONNECTIONS_MAX 256
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

		if (!share->is_socket)
			continue;
		if (takes_datagrams(share->fd)) {
			log_warn("mounts[%d].source is a socket for datagrams, which do not leave a VM: whoever connects to it is refused", share->mount_index);
			continue;
		}
		if (job->nsockets == HOST_SOCKETS_MAX)
			return err_msg(err, E2BIG, "mounts: more than %d sockets of the host", HOST_SOCKETS_MAX);
		job->sockets[job->nsockets].fd = share->fd;
		job->sockets[job->nsockets++].mount_index = share->mount_index;
	}
	if (job->nsockets == 0)
		return 0;
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

static int find(const struct host_sockets *sockets, uint32_t index)
{
	for (size_t i = 0; i < sockets->job->nsockets; i++)
		if ((uint32_t)sockets->job->sockets[i].mount_index == index)
			return sockets->job->sockets[i].fd;
	return -ENOENT;
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

static int dial(const struct host_sockets *sockets, const struct socket_greeting *who)
{
	int target = find(sockets, who->index), ret;
	auto_fd fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (target < 0 || fd < 0)
		return target < 0 ? target : -errno;
	ret = connect_as(sockets, fd, target, who);
	return ret < 0 ? ret : fd_take(&fd);
}

static void relay_done(void *ctx)
{
	((struct host_sockets *)ctx)->connections--;
}

static void guest_said(void *ctx, int guest, char *line)
{
	struct host_sockets *sockets = ctx;
	struct socket_greeting who;
	int host = line ? socket_greeting_read(&who, line, strlen(line)) : -EINVAL;
	struct err err;

	if (host < 0) {
		log_warn_limited("a connection from the guest does not say to which socket of the host, and for whom");
	} else {
		host = dial(sockets, &who);
		if (host < 0)
			log_warn_limited("mounts[%u]: connect to the host's socket as user %u, group %u: %s", who.index, who.uid, who.gid,
					 strerror(-host));
	}
	if (host < 0) {
		close(guest);
		sockets->connections--;
	} else if (!relay_new(sockets->loop, guest, host, RELAY_BOTH, relay_done, sockets, &err)) {
		log_warn_limited("%s", err.msg);
		sockets->connections--;
	}
}

static void guest_arrives(void *ctx, uint32_t events)
{
	struct host_sockets *sockets = ctx;
	int guest = accept4(sockets->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct err err;

	(void)events;
	if (guest < 0) {
		log_warn_limited("a connection of the guest's to a socket of the host: %s", strerror(errno));
	} else if (sockets->connections == CONNECTIONS_MAX) {
		log_warn_limited("more than %d connections of the guest's to sockets of the host", CONNECTIONS_MAX);
		close(guest);
	} else if (first_line_read(sockets->loop, guest, SOCKET_GREETING_MAX, guest_said, sockets, &err) < 0) {
		log_warn_limited("%s", err.msg);
	} else {
		sockets->connections++;
	}
}

int host_sockets_start(struct host_sockets *sockets, const struct standin_job *job, struct loop *loop, struct err *err)
{
	char path[PATH_MAX + 32];

	if (job->nsockets == 0)
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
	return sockets->listener < 0 ? -err->code : loop_add(loop, sockets->listener, EPOLLIN, guest_arrives, sockets, err);
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
