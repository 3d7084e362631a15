/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever has locks on a file, and when they go. */
#ifndef VMM_FS_LOCKS_H
#define VMM_FS_LOCKS_H

#include <stdint.h>
#include <sys/types.h>

#include "vmm/fs/lock_ranges.h"
#include "vmm/fs/passthrough.h"

#define FS_LOCK_RANGES_MAX 4096 /* of all owners in one VM */

struct lock_owner {
	uint64_t id;	 /* the guest's number for it */
	uint64_t handle; /* that the first of its locks came through */
	pid_t pid;	 /* as the guest has it */
	int fd;		 /* owned; its open file has the locks */
	struct lock_ranges ranges;
	struct lock_owner *next;
};

/* An owner's locks of a file go; or those of the owners that came through an open file, which is closed now. Any thread. */
void locks_drop_owner(struct passthrough *fs, struct inode *inode, uint64_t owner);
void locks_drop_handle(struct passthrough *fs, struct inode *inode, uint64_t handle);

/* All go, of an inode that nobody uses any more. */
void locks_drop_all(struct inodes *inodes, struct inode *inode);

#endif
