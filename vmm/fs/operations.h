/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the file server: what the operations share, and the operations themselves (passthrough.c has their table). */
#ifndef VMM_FS_OPERATIONS_H
#define VMM_FS_OPERATIONS_H

#include <stdbool.h>

#include "lib/cleanup.h"
#include "vmm/fs/passthrough.h"

#define TIMEOUT_SECONDS 1.0 /* how long the guest may believe names and attributes: the host may change files */

struct passthrough *passthrough_of(fuse_req_t req);

/* An inode reference that its scope gives back: auto_inode inode = inode_of(req, id). */
struct inode_reference {
	struct passthrough *fs;
	struct inode *inode; /* NULL: nothing has this id */
};

#define auto_inode __attribute__((cleanup(inode_reference_release))) struct inode_reference

struct inode_reference inode_of(fuse_req_t req, fuse_ino_t id);
void inode_reference_release(struct inode_reference *reference);

/* What operations on an id that has no inode answer: virtual directories are read only, other numbers are made up. */
int no_inode(fuse_ino_t id);

/* "N": with the working directory set to /proc/self/fd this is a path that leads to the inode behind an O_PATH fd. */
struct magic_path {
	char name[16];
};
struct magic_path magic_path(int fd);

/* Opens the file behind an inode. Device nodes and FIFOs are the guest kernel's business, never ours: ENXIO. */
int inode_reopen(struct passthrough *fs, const struct inode *inode, int flags);

/* A handle reference that its scope gives back. */
struct handle_reference {
	struct passthrough *fs;
	struct handle *handle; /* NULL: nothing has this number */
};

#define auto_handle __attribute__((cleanup(handle_reference_release))) struct handle_reference

struct handle_reference handle_of(fuse_req_t req, const struct fuse_file_info *fi);
void handle_reference_release(struct handle_reference *reference);

/* Takes fd in every case. The handle's number or -errno. */
int64_t handle_new(struct passthrough *fs, int fd);
void handle_release(struct passthrough *fs, uint64_t number);

/* Between the two, what the thread creates belongs to the guest's caller. 0, or -1: leave all the same. */
int caller_become(fuse_req_t req);
void caller_leave(fuse_req_t req);

/* names.c: fill in the entry of the file behind fd (taken), or `name` of a directory, counted as looked up. 0 or an errno value. */
int make_entry(struct passthrough *fs, int fd, struct fuse_entry_param *entry);
int lookup_child(fuse_req_t req, fuse_ino_t parent, const char *name, struct fuse_entry_param *entry);

/* virtual.c: the attributes of a virtual directory. */
struct stat virtual_stat(fuse_ino_t id);

/* The id of a directory in the root, 0: there is none. */
fuse_ino_t virtual_find(struct passthrough *fs, const char *name);

/* A descriptor, the caller's, for a share by its directory and name, or -1 with errno. */
int virtual_open_share(struct passthrough *fs, fuse_ino_t directory, const char *name);

/* The entry of a directory at offset: 1 with its name, 0: none here, but there may be further on; -ENOENT: that was all. */
int virtual_entry(struct passthrough *fs, fuse_ino_t directory, off_t offset, char name[FS_SHARE_NAME_MAX]);

/* Whether the guest, which opens the file once more, may go on with what it has of its contents. */
bool page_cache_may_stay(struct passthrough *fs, struct inode *inode, int fd);

/*
 * Whether the file that the guest opens has another size than the guest believes, which it then is to ask for; truncated: it has
 * emptied it itself. And that it has written up to there.
 */
#define OPEN_SIZE_IS_NEW (1U << 31) /* in the flags of OPEN's answer: guest-kernel/patches/virtiofs-size-at-open.patch */
bool page_cache_size_is_new(const struct passthrough *fs, struct inode *inode, int fd, bool truncated);
void page_cache_grows(struct inode *inode, off_t size);

/*
 * set_id.c: between the two the file behind fd (any descriptor, O_PATH too) may be changed without losing its set-id bits.
 * What the first returns is for the second, which keeps errno.
 */
mode_t set_id_keep(struct passthrough *fs, int fd);
void set_id_restore(struct passthrough *fs, int fd, mode_t kept);

/* acl.c: flags of the attributes of the file behind fd, -1 for a virtual directory; an access ACL, which takes S_ISGID away. */
#define ACL_TAKES_SET_GID (1 << 30) /* in the flags of SETXATTR: guest-kernel/patches/virtiofs-acl.patch */
uint32_t acl_flags(const struct passthrough *fs, int fd, mode_t type);
int acl_set_without_set_gid(struct passthrough *fs, int fd, const char *name, const char *value, size_t size);

/*
 * devices.c: like mknodat(2) of anything but a socket, fstat(2) and chmod(2) of the file behind fd (any descriptor), with the
 * guest's device nodes as what they are in the guest; 0, or -1 with errno. And the type of a directory's entry, DT_*.
 */
int devices_make(struct passthrough *fs, int directory, const char *name, mode_t mode, dev_t rdev);
int devices_stat(struct passthrough *fs, int fd, struct stat *st);
int devices_change_mode(struct passthrough *fs, int fd, mode_t mode);
unsigned char devices_entry_type(struct passthrough *fs, int directory, const char *name, unsigned char type);

/*
 * sockets.c: a socket's file, as mknodat(2) makes it, and *ret_bound, which sockets_keep takes for its inode; -1: nobody can be
 * bound to it. 0, or -1 with errno.
 */
int sockets_make(struct passthrough *fs, int directory, const char *name, mode_t mode, int *ret_bound);
void sockets_keep(struct passthrough *fs, fuse_ino_t id, int bound);
/* For server.c: what its functions of this name return. */
int sockets_accept(struct passthrough *fs, uint64_t *ret_id);
int sockets_open(struct passthrough *fs, uint64_t id);
void op_access(fuse_req_t req, fuse_ino_t id, int mask);

/* names.c */
void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_forget(fuse_req_t req, fuse_ino_t id, uint64_t n);
void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void op_readlink(fuse_req_t req, fuse_ino_t id);
void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void op_link(fuse_req_t req, fuse_ino_t id, fuse_ino_t parent, const char *name);
void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent, const char *new_name,
		      unsigned int flags);

/* attributes.c */
void op_getattr(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi);
void op_setattr(fuse_req_t req, fuse_ino_t id, struct stat *attr, int which, struct fuse_file_info *fi);
void op_statfs(fuse_req_t req, fuse_ino_t id);

/* extended_attributes.c */
#define XATTRS_PREFIX_ON_HOST "user.cella." /* of attributes that the guest does not see by their names */
void op_setxattr(fuse_req_t req, fuse_ino_t id, const char *name, const char *value, size_t size, int flags);
void op_getxattr(fuse_req_t req, fuse_ino_t id, const char *name, size_t size);
void op_listxattr(fuse_req_t req, fuse_ino_t id, size_t size);
void op_removexattr(fuse_req_t req, fuse_ino_t id, const char *name);

/* inode_flags.c */
void op_ioctl(fuse_req_t req, fuse_ino_t id, unsigned int command, void *argument, struct fuse_file_info *fi,
	      unsigned int flags, const void *in, size_t in_size, size_t out_size);

/* files.c */
void op_open(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi);
void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi);
void op_read(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset, struct fuse_file_info *fi);
void op_write(fuse_req_t req, fuse_ino_t id, const char *data, size_t size, off_t offset,
		     struct fuse_file_info *fi);
void op_flush(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi);
void op_release(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi);
void op_fsync(fuse_req_t req, fuse_ino_t id, int datasync, struct fuse_file_info *fi);
void op_fallocate(fuse_req_t req, fuse_ino_t id, int mode, off_t offset, off_t length, struct fuse_file_info *fi);
void op_lseek(fuse_req_t req, fuse_ino_t id, off_t offset, int whence, struct fuse_file_info *fi);
void op_copy_file_range(fuse_req_t req, fuse_ino_t in, off_t in_offset, struct fuse_file_info *in_fi,
			       fuse_ino_t out, off_t out_offset, struct fuse_file_info *out_fi, size_t len, int flags);

/* locks.c */
void op_getlk(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi, struct flock *lock);
void op_setlk(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi, struct flock *lock, int sleep);
void op_flock(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi, int operation);

/* directories.c */
void op_opendir(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi);
void op_readdir(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset, struct fuse_file_info *fi);
void op_readdirplus(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset, struct fuse_file_info *fi);

#endif
