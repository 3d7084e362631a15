/* SPDX-License-Identifier: Apache-2.0 */
/* Visitors of the guest's sockets. */
#include "agent/visitors.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/guest.h"
#include "lib/cleanup.h"
#include "lib/first_line.h"
#include "lib/log.h"
#include "lib/relay.h"
#include "lib/socket_greeting.h"

#define FUSE_HANDLE 0x81 /* FILEID_INO64_GEN */
#define VISITORS_MAX 256

/* For a file of the shared file system by its id. */
struct search {
	uint64_t id;
	int fd; /* O_PATH, owned; -1: not found yet */
};

/* Each of the host's file systems is one here, and only knows its own files (outside_sockets.c: the handle's form). */
static void look_there(const char *mount_point, void *ctx)
{
	struct search *search = ctx;
	struct {
		struct file_handle handle;
		uint32_t words[3];
	} file = { { .handle_bytes = sizeof(file.words), .handle_type = FUSE_HANDLE },
		   { (uint32_t)(search->id >> 32), (uint32_t)search->id, 0 } };
	auto_fd mount = search->fd < 0 ? open(mount_point, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (mount >= 0)
		search->fd = open_by_handle_at(mount, &file.handle, O_PATH | O_CLOEXEC);
}

static int connect_to(int file)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	auto_fd fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d", file);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	return fd_take(&fd);
}

/* This process has one thread, and root as its real and saved ids. Who could not come back must not go on. */
static int connect_as(int file, const struct socket_greeting *who)
{
	int fd = -EPERM, dumpable = prctl(PR_GET_DUMPABLE);

	if (setgroups(who->ngroups, who->groups) == 0 && setresgid((gid_t)-1, who->gid, (gid_t)-1) == 0 &&
	    setresuid((uid_t)-1, who->uid, (uid_t)-1) == 0)
		fd = connect_to(file);
	if (setresuid((uid_t)-1, 0, (uid_t)-1) < 0 || setresgid((gid_t)-1, 0, (gid_t)-1) < 0 || setgroups(0, NULL) < 0)
		abort();
	/* A change of ids takes this away, and with it our own part of /proc. */
	(void)prctl(PR_SET_DUMPABLE, dumpable);
	return fd;
}

static int find_and_connect(const char *line)
{
	struct search search = { .fd = -1 };
	struct socket_greeting who;
	int fd;

	if (!line || socket_greeting_read(&who, line, strlen(line)) < 0 || !who.in_directory)
		return -EPROTO;
	search.id = who.socket;
	guest_for_each_share(look_there, &search);
	if (search.fd < 0)
		return -ENOENT;
	fd = connect_as(search.fd, &who);
	close(search.fd);
	return fd;
}

static void leave(void *ctx)
{
	struct visitors *visitors = ctx;

	visitors->n--;
}

static void said(void *ctx, int visitor, char *line)
{
	struct visitors *visitors = ctx;
	int fd = find_and_connect(line);
	struct err err;

	if (fd < 0) {
		log_warn_limited("a connection from outside to a socket of a container's: %s", strerror(-fd));
		close(visitor);
		leave(visitors);
	} else if (!relay_new(visitors->loop, visitor, fd, RELAY_BOTH, leave, visitors, &err)) {
		log_warn_limited("%s", err.msg);
		leave(visitors);
	}
}

void visitors_join(struct visitors *visitors, int fd)
{
	struct err err;

	if (visitors->n == VISITORS_MAX) {
		log_warn_limited("more than %d connections from outside to sockets of containers", VISITORS_MAX);
		close(fd);
	} else if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
		log_warn_limited("a connection from outside: %s", strerror(errno));
		close(fd);
	} else if (first_line_read(visitors->loop, fd, SOCKET_GREETING_MAX, said, visitors, &err) < 0) {
		log_warn_limited("%s", err.msg);
	} else {
		visitors->n++;
	}
}
