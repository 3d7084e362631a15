/* SPDX-License-Identifier: Apache-2.0 */
/* A file server and the guest that asks it, one request after the other, without a queue between them. */
#ifndef TESTS_UNIT_VMM_FS_CLIENT_H
#define TESTS_UNIT_VMM_FS_CLIENT_H

#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/stat.h>

#include "lib/share_directory.h"
#include "tests/unit/test.h"
#include "vmm/fs/server.h"

static struct fs_server *server;

static _Alignas(8) struct {
	struct fuse_out_header header;
	union {
		struct fuse_init_out init;
		struct fuse_entry_out entry;
		struct fuse_attr_out attr;
		struct fuse_open_out open;
		struct fuse_write_out write;
		char bytes[4096];
	};
} reply;

/* Sends a request; the error of its reply. */
static int ask(uint32_t opcode, uint64_t node, const void *body, size_t len)
{
	static _Alignas(8) char data[4096];
	struct fuse_in_header header = { .len = (uint32_t)(sizeof(header) + len), .opcode = opcode, .unique = 1, .nodeid = node };
	struct iovec iov = { &reply, sizeof(reply) };
	struct fs_request request = { .data = data, .len = header.len, .reply = &iov, .nreply = 1 };

	memcpy(data, &header, sizeof(header));
	memcpy(data + sizeof(header), body, len);
	memset(&reply, 0, sizeof(reply));
	fs_server_handle(server, &request);
	assert_true(request.written >= sizeof(reply.header));
	assert_int_equal(reply.header.len, request.written);
	return reply.header.error;
}

static int look_up(uint64_t directory, const char *entry)
{
	return ask(FUSE_LOOKUP, directory, entry, strlen(entry) + 1);
}

static void share(const char *name, const char *path)
{
	struct err err;

	assert_int_equal(fs_server_add_share(server, name, open(path, O_PATH | O_CLOEXEC), &err), 0);
}

#define OWN_KERNEL (1U << 31)

static uint32_t init_flags2; /* what the guest says more in FUSE_INIT */
static struct fuse_init_out init_answer;

/* A server, without shares so far, to which the guest has said what a guest says first. */
static void start_server(void)
{
	struct fuse_init_in init = { .major = 7, .minor = 38, .flags = FUSE_SUBMOUNTS | FUSE_DO_READDIRPLUS };
	struct err err;

	init.flags2 = init_flags2;
	init.flags |= init_flags2 ? FUSE_INIT_EXT : 0;
	server = fs_server_new(open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC), &err);
	assert_non_null(server);
	assert_int_equal(ask(FUSE_INIT, 0, &init, sizeof(init)), 0);
	assert_true(reply.init.flags & FUSE_SUBMOUNTS);
	init_answer = reply.init;
}

/* The node of the directory that the shares are in that are on the same file system as path; its name, too. */
static uint64_t shares_beside(const char *path, char name[SHARE_DIRECTORY_MAX])
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	share_directory(name, st.st_dev);
	assert_int_equal(look_up(FUSE_ROOT_ID, name), 0);
	return reply.entry.nodeid;
}

/* Makes a directory from a template of mkdtemp's, used or not; path: of the file that the test puts into it. */
static inline void make_directory(char *directory, char path[64])
{
	strcpy(strrchr(directory, '.'), ".XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(path, 64, "%s/file", directory);
}

/* Starts a server that shares the directory; its node. */
static inline uint64_t share_directory_at(const char *directory)
{
	char name[SHARE_DIRECTORY_MAX];

	start_server();
	share("share", directory);
	assert_int_equal(look_up(shares_beside(directory, name), "share"), 0);
	return reply.entry.nodeid;
}

/* The same with a new directory; path: of the file that the test may put into it. */
static inline uint64_t share_new_directory(char *directory, char path[64])
{
	make_directory(directory, path);
	return share_directory_at(directory);
}

/* As share_directory_at, but the node of the file in the directory. */
static inline uint64_t share_file(const char *directory)
{
	assert_int_equal(look_up(share_directory_at(directory), "file"), 0);
	return reply.entry.nodeid;
}

/* The same with a new directory, and a new file in it. */
static inline uint64_t share_new_file(char *directory, char path[64])
{
	make_directory(directory, path);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	return share_file(directory);
}

/* Ends the server, and removes what share_new_file made. */
static inline int remove_shared_file(const char *directory, const char *path)
{
	fs_server_free(server);
	unlink(path);
	return rmdir(directory);
}

#endif
