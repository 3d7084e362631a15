/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ttrpc (containerd/ttrpc PROTOCOL.md), unary calls: both ends of a connection. Frames are 10 bytes of header (length,
 * stream id, type, flags; big endian) and a protobuf message of at most 4 MiB. All of it runs on the loop's thread.
 */
#ifndef LIB_TTRPC_H
#define LIB_TTRPC_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/loop.h"

#define TTRPC_MESSAGE_MAX (4 << 20)

/* google.rpc.Code, those that are used. */
enum ttrpc_code {
	TTRPC_OK = 0,
	TTRPC_UNKNOWN = 2,
	TTRPC_INVALID_ARGUMENT = 3,
	TTRPC_DEADLINE_EXCEEDED = 4,
	TTRPC_NOT_FOUND = 5,
	TTRPC_ALREADY_EXISTS = 6,
	TTRPC_PERMISSION_DENIED = 7,
	TTRPC_RESOURCE_EXHAUSTED = 8,
	TTRPC_FAILED_PRECONDITION = 9,
	TTRPC_UNIMPLEMENTED = 12,
	TTRPC_INTERNAL = 13,
	TTRPC_UNAVAILABLE = 14,
};

/* The code for an errno value and back. */
enum ttrpc_code ttrpc_code_from_errno(int errnum);
int ttrpc_code_to_errno(enum ttrpc_code code);

struct ttrpc;

struct ttrpc_ops {
	/*
	 * A request arrived; answer it now or later, once, by ttrpc_reply or ttrpc_reply_error with its stream id.
	 * The pointers are valid during the call. NULL for a connection that only calls.
	 */
	void (*request)(void *ctx, struct ttrpc *conn, uint32_t stream, const char *service, const char *method,
			const uint8_t *payload, size_t len);
	/*
	 * The connection ended (calls under way have got their callback). It is the owner's to ttrpc_free, here or
	 * later. Never called after ttrpc_free.
	 */
	void (*closed)(void *ctx, struct ttrpc *conn);
};

/* err: NULL on success, then payload is the answer's message. Pointers are valid during the call. */
typedef void ttrpc_answer(void *ctx, const struct err *err, const uint8_t *payload, size_t len);

/* Takes fd (a stream socket, made non-blocking) in every case. ops and ctx are borrowed. */
struct ttrpc *ttrpc_new(struct loop *loop, int fd, const struct ttrpc_ops *ops, void *ctx, struct err *err);
void ttrpc_free(struct ttrpc *conn);

/* Starts a call. answer is called exactly once, unless the connection is freed first. */
int ttrpc_call(struct ttrpc *conn, const char *service, const char *method, const ProtobufCMessage *request,
	       ttrpc_answer *answer, void *ctx, struct err *err) must_check;

/*
 * Calls and runs the loop until the answer is there, for at most timeout_ms. The answer is unpacked as descriptor says;
 * the caller frees it with protobuf_c_message_free_unpacked(answer, NULL). ret_answer may be NULL.
 */
int ttrpc_call_wait(struct ttrpc *conn, struct loop *loop, const char *service, const char *method,
		    const ProtobufCMessage *request, const ProtobufCMessageDescriptor *descriptor,
		    ProtobufCMessage **ret_answer, int timeout_ms, struct err *err) must_check;

/*
 * As protobuf_c_message_unpack, for what a peer sent that is not trusted: a message of two bytes for each of a million
 * elements would take hundreds of megabytes. NULL beyond TTRPC_UNPACKED_MAX bytes, too.
 */
#define TTRPC_UNPACKED_MAX (4 * TTRPC_MESSAGE_MAX)
ProtobufCMessage *ttrpc_unpack(const ProtobufCMessageDescriptor *descriptor, const uint8_t *payload, size_t len);

/* A connection that does not take the answer is closed by its loop handler; there is nobody to tell. */
void ttrpc_reply(struct ttrpc *conn, uint32_t stream, const ProtobufCMessage *response);
void ttrpc_reply_error(struct ttrpc *conn, uint32_t stream, enum ttrpc_code code, const char *message);

#endif
