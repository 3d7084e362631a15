/* SPDX-License-Identifier: Apache-2.0 */
/* The input is a sequence of FUSE requests (16-bit length each) to a real file server over an empty directory. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/fs/inodes.h"
#include "vmm/fs/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OWN_KERNEL (1U << 31) /* vmm/fs/server.c */

/* The directory that the share is in: a number too large to be guessed. */
static uint64_t share_directory_id;

static struct fs_server *make_server(void)
{
	char directory[] = "/tmp/cella-fs-fuzz.XXXXXX";
	struct fs_server *server;
	struct err err;
	struct stat st;

	if (!mkdtemp(directory))
		abort();
	server = fs_server_new(open("/proc/self/fd", O_PATH | O_DIRECTORY), &err);
	if (!server || fs_server_add_share(server, "s", open(directory, O_PATH | O_DIRECTORY), &err) < 0 ||
	    chdir("/proc/self/fd") < 0 || stat(directory, &st) < 0)
		abort();
	share_directory_id = inodes_file_system_id(st.st_dev);
	return server;
}

static void request(struct fs_server *server, const void *bytes, size_t len)
{
	static _Alignas(8) uint8_t copy[65536], reply[65536];
	struct iovec iov = { reply, sizeof(reply) };
	struct fs_request request = { .data = copy, .len = len, .reply = &iov, .nreply = 1 };

	memcpy(copy, bytes, len);
	if (len >= sizeof(struct fuse_in_header)) {
		struct fuse_in_header *header = (struct fuse_in_header *)copy;

		/* Most inputs would stop at the first check otherwise. */
		header->len = (uint32_t)len;
		header->uid = header->gid = 0;
		if (header->nodeid == UINT8_MAX) /* what an input says for it */
			header->nodeid = share_directory_id;
	}
	fs_server_handle(server, &request);
	if (request.written > sizeof(reply))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fs_server *server;
	struct {
		struct fuse_in_header header;
		struct fuse_init_in init;
	} init = { .header = { .opcode = FUSE_INIT }, .init = { .major = 7, .minor = 38, .max_readahead = 65536, .flags = FUSE_INIT_EXT } };
	uint64_t id;
	int fd;

	if (!server)
		server = make_server();
	fs_server_reset(server);
	if (size > 0 && data[0] & 1)
		init.init.flags2 = OWN_KERNEL;
	request(server, &init, sizeof(init));
	while (size > 2) {
		size_t len = (size_t)data[0] | (size_t)data[1] << 8;

		data += 2;
		size -= 2;
		if (len > size)
			len = size;
		request(server, data, len);
		data += len;
		size -= len;
		fd = fs_server_accept(server, &id);
		if (fd >= 0)
			close(fd);
	}
	fd = fs_server_open_socket(server, 2);
	if (fd >= 0)
		close(fd);
	return 0;
}
