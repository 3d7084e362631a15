/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file server: FUSE requests in, replies out, over host directories that were opened beforehand.
 *
 * The root of the file system that the guest sees is virtual, and so are the directories in it, one for each file system of the
 * host (lib/share_directory.h): their entries are the shares, each a directory (or a single file) that the runtime handed over as a
 * descriptor. No path is ever resolved from the process's root; names from the guest are single components without "/" and never "."
 * or "..".
 *
 * Any number of threads may call fs_server_handle at once.
 */
#ifndef VMM_FS_SERVER_H
#define VMM_FS_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "lib/err.h"

#define FS_WRITE_MAX (1 << 20)
#define FS_REQUEST_MAX (FS_WRITE_MAX + 4096) /* the largest request: a WRITE with its headers */
#define FS_INODES_MAX (400 << 10)	      /* what one guest may keep alive; a descriptor each */
#define FS_HANDLES_MAX (64 << 10)
#define FS_SHARE_NAME_MAX 128

struct fs_server;

struct fs_request {
	void *data; /* the request, a private copy, 8-byte aligned, which the server may change */
	size_t len;
	const struct iovec *reply; /* guest memory for the reply */
	size_t nreply;
	uint32_t attribute_flags; /* the server's, for the attributes in the reply */
	uint32_t open_flags;	  /* the server's, for the answer to OPEN */
	uint32_t written; /* out: bytes of the reply; 0 if the request has none */
};

/* proc_self_fd: an open /proc/self/fd of this process, which the server then owns. */
struct fs_server *fs_server_new(int proc_self_fd, struct err *err);
void fs_server_free(struct fs_server *server);

/* Adds a share; fd (O_PATH) is owned by the server on success. Any thread. */
int fs_server_add_share(struct fs_server *server, const char *name, int fd, struct err *err) must_check;

/* Takes a share away; what the guest holds open stays valid. -ENOENT if there is none. Any thread. */
int fs_server_remove_share(struct fs_server *server, const char *name) must_check;

/* An epoll descriptor, the server's: readable when somebody connects to a socket of the guest's in a shared directory. */
int fs_server_visitors(const struct fs_server *server);

/* A connection, the caller's, and to which socket: the id that the guest knows it by. -EAGAIN: there is none. */
int fs_server_accept(struct fs_server *server, uint64_t *ret_id) must_check;

/* An O_PATH descriptor, the caller's, of a socket in a shared directory by the id that the guest knows it by, or -errno. Any thread. */
int fs_server_open_socket(struct fs_server *server, uint64_t id) must_check;

/* Serves one request; replies exactly once unless the operation has no reply. */
void fs_server_handle(struct fs_server *server, struct fs_request *request);

/* The guest's driver went away: forgets all inodes and handles. No request may be in progress. */
void fs_server_reset(struct fs_server *server);

#endif
