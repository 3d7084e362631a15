/* SPDX-License-Identifier: Apache-2.0 */
/* Whole reads and writes, small files, and other system calls that need a loop or an error text. */
#ifndef LIB_IO_H
#define LIB_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "lib/err.h"

/* All of len bytes, or -errno; -EPIPE if the end came first. Blocking descriptors only. */
int io_read_all(int fd, void *buf, size_t len) must_check;
int io_write_all(int fd, const void *buf, size_t len) must_check;

/* The same at an offset of a file, whose position stays. */
int io_pread_all(int fd, void *buf, size_t len, uint64_t offset) must_check;
int io_pwrite_all(int fd, const void *buf, size_t len, uint64_t offset) must_check;

/* As io_pread_all, into several buffers (at most IOV_MAX); iov is changed. */
int io_preadv_all(int fd, struct iovec *iov, int n, uint64_t offset) must_check;

/*
 * The whole file at path below dirfd as a NUL-terminated heap string (the caller frees it), refused with EFBIG beyond
 * max bytes. ret_len (may be NULL) gets the length without the NUL.
 */
char *io_read_file(int dirfd, const char *path, size_t max, size_t *ret_len, struct err *err);

/* Writes text to an existing file (sysfs, procfs, cgroupfs) in one write(2). */
int io_write_file(int dirfd, const char *path, const char *text, struct err *err) must_check;

/* Replaces path below dirfd by a new file with these bytes: readers see the old file or the new one, never a part. */
int io_replace_file(int dirfd, const char *path, const void *buf, size_t len, mode_t mode, struct err *err) must_check;

/*
 * Removes path below dirfd with everything in it, never following symbolic links and never crossing into a mount. What is
 * not there is fine, and so is another process that removes the same or, for a while, adds to it.
 */
int io_remove_tree(int dirfd, const char *path, struct err *err) must_check;

/* mkdir -p below dirfd; existing directories are fine. */
int io_mkdir_parents(int dirfd, const char *path, mode_t mode, struct err *err) must_check;

/* CLOCK_REALTIME as RFC 3339 with nanoseconds, UTC; at most IO_TIMESTAMP_MAX bytes with the NUL. */
#define IO_TIMESTAMP_MAX 80
void io_timestamp(char out[IO_TIMESTAMP_MAX]);

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t io_now_ms(void);

/* 0 when fd becomes readable (or hung up) before the deadline (io_now_ms time), else -ETIMEDOUT or -errno. */
int io_wait_readable(int fd, int64_t deadline_ms) must_check;

/* O_NONBLOCK on the open file description (whoever shares it sees that, too). 0 or -errno. */
int io_set_nonblocking(int fd) must_check;

/*
 * A non-blocking open file description of our own for what fd refers to: O_NONBLOCK on an inherited one would be seen by
 * everybody who shares it. flags: O_RDONLY or O_WRONLY. Sockets cannot be reopened: those are set non-blocking as they
 * are. Files are not reopened: they never block, and keep their position. A close-on-exec descriptor or -errno.
 */
int io_reopen_nonblocking(int fd, int flags) must_check;

/* Opens /dev/null on each of 0, 1, 2 that is closed, so that no later open lands there. */
int io_fill_standard_fds(void) must_check;

#endif
