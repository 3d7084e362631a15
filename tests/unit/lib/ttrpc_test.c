/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/ttrpc.h"

#include <sys/socket.h>

#include "lib/io.h"
#include "lib/ttrpc.pb-c.h"
#include "tests/unit/test.h"

struct end {
	struct loop *loop;
	struct ttrpc *conn;
	int peer;
	int requests, closed;
	uint32_t last_stream;
};

static void request_arrived(void *ctx, struct ttrpc *conn, uint32_t stream, const char *service, const char *method,
			    const uint8_t *payload, size_t len)
{
	Cella__Ttrpc__Status answer = CELLA__TTRPC__STATUS__INIT;
	struct end *end = ctx;

	(void)service;
	(void)payload;
	(void)len;
	end->requests++;
	end->last_stream = stream;
	if (!strcmp(method, "Fail"))
		ttrpc_reply_error(conn, stream, TTRPC_NOT_FOUND, "no such thing");
	else
		ttrpc_reply(conn, stream, &answer.base);
}

static void closed(void *ctx, struct ttrpc *conn)
{
	(void)conn;
	((struct end *)ctx)->closed++;
}

static const struct ttrpc_ops ops = { .request = request_arrived, .closed = closed };

static void open_end(struct end *end)
{
	struct err err;
	int pair[2];

	memset(end, 0, sizeof(*end));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	end->loop = loop_new(&err);
	end->conn = ttrpc_new(end->loop, pair[0], &ops, end, &err);
	end->peer = pair[1];
}

static void close_end(struct end *end)
{
	ttrpc_free(end->conn);
	loop_free(end->loop);
	if (end->peer >= 0)
		close(end->peer);
}

static void steps(struct end *end, int n)
{
	while (n-- > 0)
		assert_true(loop_step(end->loop, 20) >= 0);
}

static void put_header(uint8_t *at, uint32_t len, uint32_t stream, uint8_t type)
{
	const uint8_t header[10] = { (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len,
				     (uint8_t)(stream >> 24), (uint8_t)(stream >> 16), (uint8_t)(stream >> 8),
				     (uint8_t)stream, type, 0 };

	memcpy(at, header, sizeof(header));
}

static void test_a_call_gets_its_answer_or_its_error(void **state)
{
	struct end server, client;
	struct err err;
	int pair[2];
	Cella__Ttrpc__Status message = CELLA__TTRPC__STATUS__INIT;

	(void)state;
	memset(&server, 0, sizeof(server));
	memset(&client, 0, sizeof(client));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	server.loop = loop_new(&err);
	server.conn = ttrpc_new(server.loop, pair[0], &ops, &server, &err);
	client.conn = ttrpc_new(server.loop, pair[1], &ops, &client, &err);
	assert_int_equal(ttrpc_call_wait(client.conn, server.loop, "s", "Do", &message.base, &cella__ttrpc__status__descriptor,
					 NULL, 1000, &err), 0);
	assert_int_equal(ttrpc_call_wait(client.conn, server.loop, "s", "Fail", &message.base,
					 &cella__ttrpc__status__descriptor, NULL, 1000, &err), -ENOENT);
	assert_string_equal(err.msg, "no such thing");
	assert_int_equal(server.requests, 2);
	ttrpc_free(server.conn);
	assert_int_equal(ttrpc_call_wait(client.conn, server.loop, "s", "Do", &message.base, &cella__ttrpc__status__descriptor,
					 NULL, 1000, &err), -EPIPE);
	ttrpc_free(client.conn);
	loop_free(server.loop);
}

static void test_an_oversized_frame_is_skipped_and_refused(void **state)
{
	struct end end;
	uint8_t header[10], answer[256];
	uint32_t len = TTRPC_MESSAGE_MAX + 1;
	static uint8_t zeroes[65536];

	(void)state;
	open_end(&end);
	put_header(header, len, 7, 1);
	assert_int_equal(write(end.peer, header, sizeof(header)), 10);
	for (uint32_t sent = 0; sent < len;) {
		uint32_t part = len - sent < sizeof(zeroes) ? len - sent : sizeof(zeroes);

		assert_int_equal(io_write_all(end.peer, zeroes, part), 0);
		sent += part;
		steps(&end, 5);
	}
	steps(&end, 10);
	assert_int_equal(end.requests, 0);
	assert_true(recv(end.peer, answer, sizeof(answer), MSG_DONTWAIT) > 10);
	assert_int_equal(answer[8], 2); /* a response, for stream 7 */
	assert_int_equal(answer[7], 7);
	assert_int_equal(end.closed, 0);
	close_end(&end);
}

static void test_garbage_and_half_frames_do_no_harm(void **state)
{
	static const uint8_t frames[][16] = {
		{ 0, 0, 0, 2, 0, 0, 0, 1, 1, 0, 0xff, 0xff },	/* not a protobuf message */
		{ 0, 0, 0, 0, 0, 0, 0, 1, 2, 0 },		/* a response that nobody waits for */
		{ 0, 0, 0, 0, 0, 0, 0, 3, 9, 0xff },		/* unknown type */
		{ 0, 0, 0, 0, 0, 0, 0, 1, 3, 0 },		/* stream data */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(frames); i++) {
		struct end end;

		open_end(&end);
		assert_int_equal(write(end.peer, frames[i], i == 0 ? 12 : 10), i == 0 ? 12 : 10);
		assert_int_equal(write(end.peer, frames[i], 5), 5);
		steps(&end, 3);
		close(end.peer);
		end.peer = -1;
		steps(&end, 3);
		assert_int_equal(end.closed, 1);
		close_end(&end);
	}
}

/* Each unknown field is two bytes in a message and a structure with a copy of its data when it is unpacked. */
static void test_a_message_cannot_become_large_by_being_unpacked(void **state)
{
	static uint8_t fields[TTRPC_MESSAGE_MAX];
	ProtobufCMessage *message;

	(void)state;
	for (size_t i = 0; i < sizeof(fields); i += 2) {
		fields[i] = 15 << 3; /* field 15, a varint */
		fields[i + 1] = 1;
	}
	message = ttrpc_unpack(&cella__ttrpc__status__descriptor, fields, 64);
	assert_non_null(message);
	protobuf_c_message_free_unpacked(message, NULL);
	assert_null(ttrpc_unpack(&cella__ttrpc__status__descriptor, fields, sizeof(fields)));
}

TESTS(cmocka_unit_test(test_a_call_gets_its_answer_or_its_error),
      cmocka_unit_test(test_an_oversized_frame_is_skipped_and_refused),
      cmocka_unit_test(test_a_message_cannot_become_large_by_being_unpacked),
      cmocka_unit_test(test_garbage_and_half_frames_do_no_harm))
