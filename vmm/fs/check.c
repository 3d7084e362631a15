/* SPDX-License-Identifier: Apache-2.0 */
/* One table: for each FUSE operation the least that must follow the header, and what kind of bytes come after that. */
#include "vmm/fs/check.h"

#include <errno.h>
#include <limits.h>
#include <linux/fuse.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "lib/cleanup.h"

enum tail {
	TAIL_NONE,	/* more bytes are ignored, as newer kernels grow their structs */
	TAIL_NAME,	/* one name */
	TAIL_TWO_NAMES, /* rename */
	TAIL_NAME_TARGET, /* symlink: a name, then any string */
	TAIL_KEY,	/* any string but an empty one, such as an extended attribute's name */
	TAIL_SETXATTR,	/* its name and value */
	TAIL_WRITE,	/* data */
	TAIL_IOCTL,	/* its argument */
	TAIL_FORGETS,	/* an array */
	TAIL_INIT,
};

struct rule {
	bool known;
	uint16_t fixed; /* bytes of the fixed struct */
	enum tail tail;
};

#define RULE(op, size, kind) [op] = { .known = true, .fixed = (size), .tail = (kind) }

static const struct rule rules[] = {
	RULE(FUSE_LOOKUP, 0, TAIL_NAME),
	RULE(FUSE_FORGET, sizeof(struct fuse_forget_in), TAIL_NONE),
	RULE(FUSE_GETATTR, sizeof(struct fuse_getattr_in), TAIL_NONE),
	RULE(FUSE_SETATTR, sizeof(struct fuse_setattr_in), TAIL_NONE),
	RULE(FUSE_READLINK, 0, TAIL_NONE),
	RULE(FUSE_SYMLINK, 0, TAIL_NAME_TARGET),
	RULE(FUSE_MKNOD, sizeof(struct fuse_mknod_in), TAIL_NAME),
	RULE(FUSE_MKDIR, sizeof(struct fuse_mkdir_in), TAIL_NAME),
	RULE(FUSE_UNLINK, 0, TAIL_NAME),
	RULE(FUSE_RMDIR, 0, TAIL_NAME),
	RULE(FUSE_RENAME, sizeof(struct fuse_rename_in), TAIL_TWO_NAMES),
	RULE(FUSE_LINK, sizeof(struct fuse_link_in), TAIL_NAME),
	RULE(FUSE_OPEN, sizeof(struct fuse_open_in), TAIL_NONE),
	RULE(FUSE_READ, sizeof(struct fuse_read_in), TAIL_NONE),
	RULE(FUSE_WRITE, sizeof(struct fuse_write_in), TAIL_WRITE),
	RULE(FUSE_STATFS, 0, TAIL_NONE),
	RULE(FUSE_RELEASE, sizeof(struct fuse_release_in), TAIL_NONE),
	RULE(FUSE_FSYNC, sizeof(struct fuse_fsync_in), TAIL_NONE),
	RULE(FUSE_SETXATTR, FUSE_COMPAT_SETXATTR_IN_SIZE, TAIL_SETXATTR),
	RULE(FUSE_GETXATTR, sizeof(struct fuse_getxattr_in), TAIL_KEY),
	RULE(FUSE_LISTXATTR, sizeof(struct fuse_getxattr_in), TAIL_NONE),
	RULE(FUSE_REMOVEXATTR, 0, TAIL_KEY),
	RULE(FUSE_ACCESS, sizeof(struct fuse_access_in), TAIL_NONE),
	RULE(FUSE_FLUSH, sizeof(struct fuse_flush_in), TAIL_NONE),
	RULE(FUSE_INIT, 16, TAIL_INIT),
	RULE(FUSE_OPENDIR, sizeof(struct fuse_open_in), TAIL_NONE),
	RULE(FUSE_READDIR, sizeof(struct fuse_read_in), TAIL_NONE),
	RULE(FUSE_RELEASEDIR, sizeof(struct fuse_release_in), TAIL_NONE),
	RULE(FUSE_FSYNCDIR, sizeof(struct fuse_fsync_in), TAIL_NONE),
	RULE(FUSE_GETLK, sizeof(struct fuse_lk_in), TAIL_NONE),
	RULE(FUSE_SETLK, sizeof(struct fuse_lk_in), TAIL_NONE),
	RULE(FUSE_SETLKW, sizeof(struct fuse_lk_in), TAIL_NONE),
	RULE(FUSE_CREATE, sizeof(struct fuse_create_in), TAIL_NAME),
	RULE(FUSE_DESTROY, 0, TAIL_NONE),
	RULE(FUSE_BATCH_FORGET, sizeof(struct fuse_batch_forget_in), TAIL_FORGETS),
	RULE(FUSE_IOCTL, sizeof(struct fuse_ioctl_in), TAIL_IOCTL),
	RULE(FUSE_FALLOCATE, sizeof(struct fuse_fallocate_in), TAIL_NONE),
	RULE(FUSE_READDIRPLUS, sizeof(struct fuse_read_in), TAIL_NONE),
	RULE(FUSE_RENAME2, sizeof(struct fuse_rename2_in), TAIL_TWO_NAMES),
	RULE(FUSE_TMPFILE, sizeof(struct fuse_create_in), TAIL_KEY), /* a string that names nothing */
	RULE(FUSE_LSEEK, sizeof(struct fuse_lseek_in), TAIL_NONE),
	RULE(FUSE_COPY_FILE_RANGE, sizeof(struct fuse_copy_file_range_in), TAIL_NONE),
};

/* The length of the string at text with its NUL, or -EINVAL if there is none within len bytes. */
static int string_length(const char *text, size_t len)
{
	const char *end = memchr(text, '\0', len);

	return end ? (int)(end - text) + 1 : -EINVAL;
}

/* As string_length, for one path component. */
static int name_length(const char *text, size_t len)
{
	int n = string_length(text, len);

	if (n < 0)
		return n;
	if (n - 1 > NAME_MAX)
		return -ENAMETOOLONG;
	if (n == 1 || !strcmp(text, ".") || !strcmp(text, "..") || memchr(text, '/', (size_t)n))
		return -EINVAL;
	return n;
}

static int check_two(const char *text, size_t len, bool second_is_name)
{
	int n = name_length(text, len), m;

	if (n < 0)
		return n;
	text += n;
	len -= (size_t)n;
	m = second_is_name ? name_length(text, len) : string_length(text, len);
	if (m < 0)
		return m;
	return m > PATH_MAX ? -ENAMETOOLONG : 0;
}

static int check_setxattr(const struct fuse_setxattr_in *in, const char *text, size_t len)
{
	int n = string_length(text, len);

	if (n < 2)
		return -EINVAL;
	return in->size <= len - (size_t)n ? 0 : -EINVAL;
}

static int check_tail(enum tail tail, const void *fixed, const char *rest, size_t len)
{
	const struct fuse_batch_forget_in *forgets = fixed;
	const struct fuse_write_in *write = fixed;
	const struct fuse_ioctl_in *ioctl = fixed;
	int n;

	switch (tail) {
	case TAIL_NONE:
	case TAIL_INIT:
		return 0;
	case TAIL_NAME:
		n = name_length(rest, len);
		return n < 0 ? n : 0;
	case TAIL_TWO_NAMES:
		return check_two(rest, len, true);
	case TAIL_NAME_TARGET:
		return check_two(rest, len, false);
	case TAIL_KEY:
		n = string_length(rest, len);
		return n < 2 ? -EINVAL : 0;
	case TAIL_SETXATTR:
		return check_setxattr(fixed, rest, len);
	case TAIL_WRITE:
		return write->size == len ? 0 : -EINVAL;
	case TAIL_IOCTL:
		return ioctl->in_size == len ? 0 : -EINVAL;
	case TAIL_FORGETS:
		return forgets->count <= len / sizeof(struct fuse_forget_one) ? 0 : -EINVAL;
	}
	return -EINVAL;
}

int fs_check_request(const void *data, size_t len)
{
	const struct fuse_in_header *header = data;
	const struct rule *rule;
	const char *fixed;

	if (len < sizeof(*header) || header->len != len)
		return -EINVAL;
	if (header->opcode >= ARRAY_SIZE(rules) || !rules[header->opcode].known)
		return -ENOSYS;
	rule = &rules[header->opcode];
	fixed = (const char *)data + sizeof(*header);
	len -= sizeof(*header);
	if (len < rule->fixed)
		return -EINVAL;
	/* Since 7.36 INIT carries flags2 behind the old struct; libfuse reads it when the flag says so. */
	if (rule->tail == TAIL_INIT && len < sizeof(struct fuse_init_in) &&
	    ((const struct fuse_init_in *)fixed)->flags & FUSE_INIT_EXT)
		return -EINVAL;
	return check_tail(rule->tail, fixed, fixed + rule->fixed, len - rule->fixed);
}
