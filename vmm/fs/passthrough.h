/* SPDX-License-Identifier: Apache-2.0 */
/* The FUSE operations over host directories, and the state that they share with server.c. */
#ifndef VMM_FS_PASSTHROUGH_H
#define VMM_FS_PASSTHROUGH_H

#define FUSE_USE_VERSION 312

#include <fuse3/fuse_lowlevel.h>
#include <pthread.h>

#include "vmm/fs/inodes.h"
#include "vmm/fs/server.h"
#include "vmm/fs/table.h"

/* An open file or directory of the guest. */
struct handle {
	int fd; /* owned */
	int append_fd; /* the same file, with O_APPEND; -1: nothing has been appended; owned, under the lock */
	pthread_mutex_t lock; /* that, and a directory's read position */
	unsigned int references; /* under passthrough.lock */
};

struct share {
	char name[FS_SHARE_NAME_MAX];
	int fd; /* O_PATH, owned */
	dev_t dev; /* of its file system */
	struct share *next;
};

struct passthrough {
	struct inodes inodes;
	pthread_mutex_t lock; /* handles, shares */
	pthread_mutex_t modes; /* whoever changes owners and modes: set_id.c */
	pthread_mutex_t locks; /* every inode's lock_owners */
	pthread_mutex_t sockets; /* every inode's socket */
	int visitors; /* an epoll instance of those that listen: readable when somebody connects; owned */
	_Atomic bool own_kernel; /* the guest's has the patches of guest-kernel; set before it asks for anything else */
	_Atomic bool has_devices; /* the guest has made or seen a device node: devices.c */
	struct table handles;
	struct share *shares; /* owned */
	int proc_self_fd;     /* owned */
};

extern const struct fuse_lowlevel_ops passthrough_ops;

/* The request that the calling thread serves; set around fuse_session_process_buf by server.c. */
struct fs_request *fs_current_request(void);

void passthrough_drop_handles(struct passthrough *fs);

#endif
