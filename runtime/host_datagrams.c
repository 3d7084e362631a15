/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams for a socket of the host. */
#include "runtime/host_datagrams.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/datagram_frame.h"
#include "lib/log.h"

#define AT_ONCE 64 /* then whatever else the loop has to do has its turn */

struct host_datagrams {
	struct loop *loop; /* borrowed */
	int guest, host;   /* owned */
	void (*done)(void *ctx);
	void *ctx;
	bool waits; /* for room in the host's socket, which is watched and not the guest's */
	struct datagram_frame frame;
	uint8_t *bytes; /* owned; NULL: the frame is not whole yet */
	size_t used;	/* of the frame, or of the bytes */
};

/* What a step has led to. */
enum outcome { DONE, GUEST_IS_SILENT, HOST_IS_FULL, ENDED };

static void finish(struct host_datagrams *datagrams)
{
	loop_remove(datagrams->loop, datagrams->waits ? datagrams->host : datagrams->guest);
	close(datagrams->guest);
	close(datagrams->host);
	datagrams->done(datagrams->ctx);
	free(datagrams->bytes);
	free(datagrams);
}

/* Reads until there are len bytes at buf. */
static enum outcome receive(struct host_datagrams *datagrams, void *buf, size_t len)
{
	while (datagrams->used < len) {
		ssize_t n = recv(datagrams->guest, (char *)buf + datagrams->used, len - datagrams->used, MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			return GUEST_IS_SILENT;
		if (n <= 0)
			return ENDED;
		datagrams->used += (size_t)n;
	}
	return DONE;
}

static enum outcome receive_frame(struct host_datagrams *datagrams)
{
	enum outcome outcome;

	if (datagrams->bytes)
		return DONE;
	outcome = receive(datagrams, &datagrams->frame, sizeof(datagrams->frame));
	if (outcome != DONE)
		return outcome;
	if (datagrams->frame.len > DATAGRAM_MAX) {
		log_warn_limited("the guest sends a datagram of %u bytes to a socket of the host", datagrams->frame.len);
		return ENDED;
	}
	datagrams->bytes = malloc(datagrams->frame.len + 1);
	datagrams->used = 0;
	return datagrams->bytes ? DONE : ENDED;
}

static ssize_t send_as_told(const struct host_datagrams *datagrams)
{
	const struct ucred sender = { .pid = getpid(), .uid = datagrams->frame.uid, .gid = datagrams->frame.gid };
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(sender))];
	} control = { 0 };
	struct iovec iov = { datagrams->bytes, datagrams->frame.len };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };

	control.header = (struct cmsghdr){
		.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_CREDENTIALS, .cmsg_len = CMSG_LEN(sizeof(sender)) };
	memcpy(CMSG_DATA(&control.header), &sender, sizeof(sender));
	return sendmsg(datagrams->host, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static enum outcome pass_on(struct host_datagrams *datagrams)
{
	int error = send_as_told(datagrams) < 0 ? errno : 0;

	if (error == EAGAIN)
		return HOST_IS_FULL;
	if (error)
		log_warn_limited("a datagram of user %u, group %u, of %u bytes to a socket of the host: %s", datagrams->frame.uid,
				 datagrams->frame.gid, datagrams->frame.len, strerror(error));
	free(datagrams->bytes);
	datagrams->bytes = NULL;
	datagrams->used = 0;
	return error == ECONNREFUSED || error == ENOTCONN || error == ECONNRESET ? ENDED : DONE;
}

static enum outcome step(struct host_datagrams *datagrams)
{
	enum outcome outcome = receive_frame(datagrams);

	if (outcome == DONE)
		outcome = receive(datagrams, datagrams->bytes, datagrams->frame.len);
	return outcome == DONE ? pass_on(datagrams) : outcome;
}

static void ready(void *ctx, uint32_t events);

/* Only one of both is watched: a hang-up of the other would be told all the time. */
static int watch(struct host_datagrams *datagrams, bool waits)
{
	struct err err;
	int ret;

	if (waits == datagrams->waits)
		return 0;
	loop_remove(datagrams->loop, waits ? datagrams->guest : datagrams->host);
	datagrams->waits = waits;
	ret = loop_add(datagrams->loop, waits ? datagrams->host : datagrams->guest, waits ? EPOLLOUT : EPOLLIN, ready, datagrams, &err);
	if (ret < 0)
		log_warn("%s", err.msg);
	return ret;
}

static void ready(void *ctx, uint32_t events)
{
	struct host_datagrams *datagrams = ctx;
	enum outcome outcome = DONE;

	(void)events;
	for (int n = 0; n < AT_ONCE && outcome == DONE; n++)
		outcome = step(datagrams);
	if (outcome == ENDED || watch(datagrams, outcome == HOST_IS_FULL) < 0)
		finish(datagrams);
}

struct host_datagrams *host_datagrams_new(struct loop *loop, int guest, int host, void (*done)(void *ctx), void *ctx, struct err *err)
{
	struct host_datagrams *datagrams = calloc(1, sizeof(*datagrams));

	if (!datagrams)
		err_set(err, ENOMEM, "datagrams for a socket of the host");
	if (datagrams && loop_add(loop, guest, EPOLLIN, ready, datagrams, err) == 0) {
		*datagrams = (struct host_datagrams){ .loop = loop, .guest = guest, .host = host, .done = done, .ctx = ctx };
		return datagrams;
	}
	free(datagrams);
	close(guest);
	close(host);
	return NULL;
}
