/* SPDX-License-Identifier: Apache-2.0 */
/* ttrpc connections. */
#include "lib/ttrpc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/ttrpc.pb-c.h"

#define HEADER 10
#define TYPE_REQUEST 1
#define TYPE_RESPONSE 2
#define READ_CHUNK 16384
#define QUEUED_MAX (16 << 20) /* answers that the other side does not read; then the connection is given up */

struct call {
	uint32_t stream;
	ttrpc_answer *answer;
	void *ctx;
	struct call *next;
};

struct ttrpc {
	struct loop *loop; /* borrowed */
	int fd;		   /* owned; -1 once closed */
	const struct ttrpc_ops *ops; /* borrowed */
	void *ctx;
	uint8_t *in; /* owned: the frame that is being received */
	size_t in_used, in_size;
	uint64_t skip; /* bytes of an oversized frame that are still to come */
	uint8_t *out;  /* owned: what the socket did not take yet */
	size_t out_used, out_size;
	uint32_t next_stream;
	struct call *calls; /* owned */
	bool dispatching;
	bool freed; /* ttrpc_free was called while dispatching */
};

static const struct {
	int errnum;
	enum ttrpc_code code;
} code_table[] = {
	{ ENOENT, TTRPC_NOT_FOUND },
	{ ESRCH, TTRPC_NOT_FOUND },
	{ EEXIST, TTRPC_ALREADY_EXISTS },
	{ EACCES, TTRPC_PERMISSION_DENIED },
	{ EPERM, TTRPC_PERMISSION_DENIED },
	{ EINVAL, TTRPC_INVALID_ARGUMENT },
	{ ETIMEDOUT, TTRPC_DEADLINE_EXCEEDED },
	{ ENOMEM, TTRPC_RESOURCE_EXHAUSTED },
	{ EBUSY, TTRPC_FAILED_PRECONDITION },
	{ ENOSYS, TTRPC_UNIMPLEMENTED },
	{ ECONNRESET, TTRPC_UNAVAILABLE },
	{ EIO, TTRPC_INTERNAL },
};

enum ttrpc_code ttrpc_code_from_errno(int errnum)
{
	for (size_t i = 0; i < ARRAY_SIZE(code_table); i++)
		if (code_table[i].errnum == errnum)
			return code_table[i].code;
	return TTRPC_UNKNOWN;
}

int ttrpc_code_to_errno(enum ttrpc_code code)
{
	for (size_t i = 0; i < ARRAY_SIZE(code_table); i++)
		if (code_table[i].code == code)
			return code_table[i].errnum;
	return EIO;
}

static void put_be32(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 24);
	at[1] = (uint8_t)(value >> 16);
	at[2] = (uint8_t)(value >> 8);
	at[3] = (uint8_t)value;
}

static uint32_t get_be32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Ends the connection: every call fails, then the owner hears of it. */
static void hang_up(struct ttrpc *conn)
{
	struct err err;

	if (conn->fd < 0)
		return;
	loop_remove(conn->loop, conn->fd);
	close(conn->fd);
	conn->fd = -1;
	err_msg(&err, ECONNRESET, "the connection ended before the answer");
	while (conn->calls && !conn->freed) {
		struct call *call = conn->calls;

		conn->calls = call->next;
		call->answer(call->ctx, &err, NULL, 0);
		free(call);
	}
	if (!conn->freed && conn->ops->closed)
		conn->ops->closed(conn->ctx, conn);
}

static int flush(struct ttrpc *conn)
{
	while (conn->out_used > 0) {
		ssize_t n = send(conn->fd, conn->out, conn->out_used, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			return -errno;
		conn->out_used -= (size_t)n;
		memmove(conn->out, conn->out + n, conn->out_used);
	}
	loop_modify(conn->loop, conn->fd, conn->out_used ? EPOLLIN | EPOLLOUT : EPOLLIN);
	return 0;
}

/* Queues a frame and sends what the socket takes. */
static int send_frame(struct ttrpc *conn, uint32_t stream, uint8_t type, const ProtobufCMessage *message)
{
	size_t len = protobuf_c_message_get_packed_size(message);
	uint8_t *at;

	if (conn->fd < 0)
		return -ECONNRESET;
	if (len > TTRPC_MESSAGE_MAX || conn->out_used + HEADER + len > QUEUED_MAX)
		return -EMSGSIZE;
	if (conn->out_used + HEADER + len > conn->out_size) {
		size_t size = conn->out_used + HEADER + len;
		uint8_t *grown = realloc(conn->out, size);

		if (!grown)
			return -ENOMEM;
		conn->out = grown;
		conn->out_size = size;
	}
	at = conn->out + conn->out_used;
	put_be32(at, (uint32_t)len);
	put_be32(at + 4, stream);
	at[8] = type;
	at[9] = 0;
	protobuf_c_message_pack(message, at + HEADER);
	conn->out_used += HEADER + len;
	return flush(conn);
}

void ttrpc_reply(struct ttrpc *conn, uint32_t stream, const ProtobufCMessage *message)
{
	Cella__Ttrpc__Response response = CELLA__TTRPC__RESPONSE__INIT;
	size_t len = protobuf_c_message_get_packed_size(message);
	auto_free uint8_t *packed = malloc(len ? len : 1);

	if (!packed) {
		ttrpc_reply_error(conn, stream, TTRPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	protobuf_c_message_pack(message, packed);
	response.payload.data = packed;
	response.payload.len = len;
	if (send_frame(conn, stream, TYPE_RESPONSE, &response.base) < 0 && conn->fd >= 0)
		shutdown(conn->fd, SHUT_RDWR); /* the loop sees the end of it */
}

void ttrpc_reply_error(struct ttrpc *conn, uint32_t stream, enum ttrpc_code code, const char *message)
{
	Cella__Ttrpc__Status status = CELLA__TTRPC__STATUS__INIT;
	Cella__Ttrpc__Response response = CELLA__TTRPC__RESPONSE__INIT;

	status.code = (int32_t)code;
	status.message = (char *)message;
	response.status = &status;
	if (send_frame(conn, stream, TYPE_RESPONSE, &response.base) < 0 && conn->fd >= 0)
		shutdown(conn->fd, SHUT_RDWR);
}

static void *allocate_within(void *left, size_t size)
{
	size_t *bytes = left;

	if (size > *bytes)
		return NULL;
	*bytes -= size;
	return malloc(size);
}

static void release(void *left, void *memory)
{
	(void)left;
	free(memory);
}

ProtobufCMessage *ttrpc_unpack(const ProtobufCMessageDescriptor *descriptor, const uint8_t *payload, size_t len)
{
	size_t left = TTRPC_UNPACKED_MAX;
	ProtobufCAllocator allocator = { .alloc = allocate_within, .free = release, .allocator_data = &left };

	/* What it returns is freed by free(), as with the default allocator. */
	return protobuf_c_message_unpack(descriptor, &allocator, len, payload);
}

static void handle_request(struct ttrpc *conn, uint32_t stream, const uint8_t *data, size_t len)
{
	Cella__Ttrpc__Request *request = (Cella__Ttrpc__Request *)ttrpc_unpack(&cella__ttrpc__request__descriptor, data, len);

	if (!request)
		ttrpc_reply_error(conn, stream, TTRPC_INVALID_ARGUMENT, "malformed request");
	else if (!conn->ops->request)
		ttrpc_reply_error(conn, stream, TTRPC_UNIMPLEMENTED, "this end takes no calls");
	else
		conn->ops->request(conn->ctx, conn, stream, request->service, request->method, request->payload.data,
				   request->payload.len);
	if (request)
		cella__ttrpc__request__free_unpacked(request, NULL);
}

static struct call *take_call(struct ttrpc *conn, uint32_t stream)
{
	struct call **at = &conn->calls, *call;

	while (*at && (*at)->stream != stream)
		at = &(*at)->next;
	call = *at;
	if (call)
		*at = call->next;
	return call;
}

static void handle_response(struct ttrpc *conn, uint32_t stream, const uint8_t *data, size_t len)
{
	struct call *call = take_call(conn, stream);
	Cella__Ttrpc__Response *response;
	struct err err;

	if (!call)
		return; /* an answer that nobody waits for (any more) */
	response = (Cella__Ttrpc__Response *)ttrpc_unpack(&cella__ttrpc__response__descriptor, data, len);
	if (!response) {
		err_msg(&err, EPROTO, "malformed answer");
		call->answer(call->ctx, &err, NULL, 0);
	} else if (response->status && response->status->code != TTRPC_OK) {
		err_msg(&err, ttrpc_code_to_errno((enum ttrpc_code)response->status->code), "%s", response->status->message);
		call->answer(call->ctx, &err, NULL, 0);
	} else {
		call->answer(call->ctx, NULL, response->payload.data, response->payload.len);
	}
	if (response)
		cella__ttrpc__response__free_unpacked(response, NULL);
	free(call);
}

/* PROTOCOL.md, Message Frame: an oversized one is skipped and answered, the connection lives. */
static void refuse_frame(struct ttrpc *conn, const uint8_t *header, uint32_t len)
{
	conn->skip = len;
	if (header[8] == TYPE_REQUEST)
		ttrpc_reply_error(conn, get_be32(header + 4), TTRPC_RESOURCE_EXHAUSTED, "message longer than 4 MiB");
}

/* Handles all whole frames in the buffer. */
static void dispatch(struct ttrpc *conn)
{
	size_t at = 0;

	while (!conn->freed && conn->fd >= 0) {
		const uint8_t *frame = conn->in + at;
		size_t left = conn->in_used - at;
		uint32_t len;

		if (conn->skip) {
			size_t part = conn->skip < left ? (size_t)conn->skip : left;

			conn->skip -= part;
			at += part;
			if (conn->skip)
				break;
			continue;
		}
		if (left < HEADER)
			break;
		len = get_be32(frame);
		if (len > TTRPC_MESSAGE_MAX) {
			refuse_frame(conn, frame, len);
			at += HEADER;
			continue;
		}
		if (left < HEADER + (size_t)len)
			break;
		if (frame[8] == TYPE_REQUEST)
			handle_request(conn, get_be32(frame + 4), frame + HEADER, len);
		else if (frame[8] == TYPE_RESPONSE)
			handle_response(conn, get_be32(frame + 4), frame + HEADER, len);
		at += HEADER + (size_t)len;
	}
	if (!conn->freed) {
		conn->in_used -= at;
		memmove(conn->in, conn->in + at, conn->in_used);
	}
}

/* Room for a chunk more, within one frame and a chunk. */
static bool make_room(struct ttrpc *conn)
{
	size_t size = conn->in_used + READ_CHUNK;
	uint8_t *grown;

	if (size <= conn->in_size)
		return true;
	grown = realloc(conn->in, size);
	if (!grown)
		return false;
	conn->in = grown;
	conn->in_size = size;
	return true;
}

static void destroy(struct ttrpc *conn)
{
	while (conn->calls) {
		struct call *call = conn->calls;

		conn->calls = call->next;
		free(call);
	}
	free(conn->in);
	free(conn->out);
	free(conn);
}

static void ready(void *ctx, uint32_t events)
{
	struct ttrpc *conn = ctx;
	ssize_t n;

	conn->dispatching = true;
	if (events & EPOLLOUT && flush(conn) < 0)
		hang_up(conn);
	if (conn->fd >= 0 && events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		n = make_room(conn) ? recv(conn->fd, conn->in + conn->in_used, READ_CHUNK, MSG_DONTWAIT) : 0;
		if (n > 0) {
			conn->in_used += (size_t)n;
			dispatch(conn);
		} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
			hang_up(conn);
		}
	}
	conn->dispatching = false;
	if (conn->freed)
		destroy(conn);
}

struct ttrpc *ttrpc_new(struct loop *loop, int fd, const struct ttrpc_ops *ops, void *ctx, struct err *err)
{
	struct ttrpc *conn = calloc(1, sizeof(*conn));
	int flags = fcntl(fd, F_GETFL);

	if (!conn || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		err_set(err, conn ? errno : ENOMEM, "ttrpc connection");
		close(fd);
		free(conn);
		return NULL;
	}
	conn->loop = loop;
	conn->fd = fd;
	conn->ops = ops;
	conn->ctx = ctx;
	conn->next_stream = 1;
	if (loop_add(loop, fd, EPOLLIN, ready, conn, err) < 0) {
		close(fd);
		free(conn);
		return NULL;
	}
	return conn;
}

void ttrpc_free(struct ttrpc *conn)
{
	if (!conn || conn->freed)
		return;
	conn->freed = true;
	if (conn->fd >= 0) {
		loop_remove(conn->loop, conn->fd);
		close(conn->fd);
		conn->fd = -1;
	}
	if (!conn->dispatching)
		destroy(conn);
}

int ttrpc_call(struct ttrpc *conn, const char *service, const char *method, const ProtobufCMessage *message,
	       ttrpc_answer *answer, void *ctx, struct err *err)
{
	Cella__Ttrpc__Request request = CELLA__TTRPC__REQUEST__INIT;
	size_t len = protobuf_c_message_get_packed_size(message);
	auto_free uint8_t *packed = malloc(len ? len : 1);
	struct call *call = calloc(1, sizeof(*call));
	int ret = -ENOMEM;

	if (packed && call) {
		protobuf_c_message_pack(message, packed);
		request.service = (char *)service;
		request.method = (char *)method;
		request.payload.data = packed;
		request.payload.len = len;
		*call = (struct call){ .stream = conn->next_stream, .answer = answer, .ctx = ctx, .next = conn->calls };
		ret = send_frame(conn, call->stream, TYPE_REQUEST, &request.base);
	}
	if (ret < 0) {
		free(call);
		return err_set(err, -ret, "call %s", method);
	}
	conn->next_stream += 2; /* PROTOCOL.md: streams of the client are odd */
	conn->calls = call;
	return 0;
}

struct waiting {
	bool done;
	struct err err;
	const ProtobufCMessageDescriptor *descriptor;
	ProtobufCMessage *answer;
};

static void answer_arrived(void *ctx, const struct err *err, const uint8_t *payload, size_t len)
{
	struct waiting *waiting = ctx;

	waiting->done = true;
	if (err) {
		waiting->err = *err;
		return;
	}
	waiting->answer = ttrpc_unpack(waiting->descriptor, payload, len);
	if (!waiting->answer)
		err_msg(&waiting->err, EPROTO, "malformed answer");
}

static void forget_call(struct ttrpc *conn, void *ctx)
{
	struct call **at = &conn->calls;

	while (*at && (*at)->ctx != ctx)
		at = &(*at)->next;
	if (*at) {
		struct call *call = *at;

		*at = call->next;
		free(call);
	}
}

int ttrpc_call_wait(struct ttrpc *conn, struct loop *loop, const char *service, const char *method,
		    const ProtobufCMessage *request, const ProtobufCMessageDescriptor *descriptor,
		    ProtobufCMessage **ret_answer, int timeout_ms, struct err *err)
{
	struct waiting waiting = { .descriptor = descriptor };
	int64_t deadline = io_now_ms() + timeout_ms;
	int ret = ttrpc_call(conn, service, method, request, answer_arrived, &waiting, err);

	while (ret >= 0 && !waiting.done) {
		int64_t left = deadline - io_now_ms();

		ret = left > 0 ? loop_step(loop, (int)left) : -ETIMEDOUT;
	}
	if (ret < 0 && !waiting.done) {
		forget_call(conn, &waiting);
		return err_msg(err, -ret, ret == -ETIMEDOUT ? "no answer to %s within %d ms" : "call %s failed (%d ms)", method,
			       timeout_ms);
	}
	if (waiting.err.code) {
		*err = waiting.err;
		return -err->code;
	}
	if (ret_answer)
		*ret_answer = waiting.answer;
	else
		protobuf_c_message_free_unpacked(waiting.answer, NULL);
	return 0;
}
