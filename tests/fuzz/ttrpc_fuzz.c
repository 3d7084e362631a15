/* SPDX-License-Identifier: Apache-2.0 */
/* The input is what a peer sends. */
#include <sys/socket.h>
#include <unistd.h>

#include "lib/io.h"
#include "lib/ttrpc.h"
#include "lib/ttrpc.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void answer(void *ctx, struct ttrpc *conn, uint32_t stream, const char *service, const char *method,
		   const uint8_t *payload, size_t len)
{
	Cella__Ttrpc__Status status = CELLA__TTRPC__STATUS__INIT;

	(void)ctx;
	(void)service;
	(void)method;
	(void)payload;
	if (len % 2)
		ttrpc_reply(conn, stream, &status.base);
	else
		ttrpc_reply_error(conn, stream, TTRPC_NOT_FOUND, "no");
}

static const struct ttrpc_ops ops = { .request = answer };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err;
	struct loop *loop = loop_new(&err);
	struct ttrpc *conn;
	int pair[2];

	if (size > 60000 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) {
		loop_free(loop);
		return 0;
	}
	conn = ttrpc_new(loop, pair[0], &ops, NULL, &err);
	if (io_write_all(pair[1], data, size) == 0 && shutdown(pair[1], SHUT_WR) == 0)
		for (int i = 0; i < 20 && loop_step(loop, 0) > 0; i++)
			;
	ttrpc_free(conn);
	loop_free(loop);
	close(pair[1]);
	return 0;
}
