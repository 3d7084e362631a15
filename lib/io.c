/* SPDX-License-Identifier: Apache-2.0 */
/* System calls that need a loop or an error text. */
#include "lib/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define REMOVE_ROUNDS 20

int io_read_all(int fd, void *buf, size_t len)
{
	char *at = buf;

	while (len > 0) {
		ssize_t n = read(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EPIPE;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int io_write_all(int fd, const void *buf, size_t len)
{
	const char *at = buf;

	while (len > 0) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int io_pread_all(int fd, void *buf, size_t len, uint64_t offset)
{
	char *at = buf;

	while (len > 0) {
		ssize_t n = pread(fd, at, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EPIPE;
		at += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int io_preadv_all(int fd, struct iovec *iov, int n, uint64_t offset)
{
	while (n > 0) {
		ssize_t got = preadv(fd, iov, n, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return -EPIPE;
		offset += (uint64_t)got;
		for (; n > 0 && (size_t)got >= iov->iov_len; iov++, n--)
			got -= (ssize_t)iov->iov_len;
		if (n > 0) {
			iov->iov_base = (char *)iov->iov_base + got;
			iov->iov_len -= (size_t)got;
		}
	}
	return 0;
}

int io_pwrite_all(int fd, const void *buf, size_t len, uint64_t offset)
{
	const char *at = buf;

	while (len > 0) {
		ssize_t n = pwrite(fd, at, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENOSPC;
		at += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

char *io_read_file(int dirfd, const char *path, size_t max, size_t *ret_len, struct err *err)
{
	auto_fd fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	auto_free char *buf = NULL;
	size_t used = 0, size = 4096;

	if (fd < 0) {
		err_set(err, errno, "open %s", path);
		return NULL;
	}
	for (;;) {
		ssize_t n;
		char *grown = realloc(buf, size + 1);

		if (!grown) {
			err_set(err, ENOMEM, "read %s", path);
			return NULL;
		}
		buf = grown;
		n = read(fd, buf + used, size - used);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err_set(err, errno, "read %s", path);
			return NULL;
		}
		if (n == 0)
			break;
		used += (size_t)n;
		if (used > max) {
			err_set(err, EFBIG, "read %s (at most %zu bytes are accepted)", path, max);
			return NULL;
		}
		if (used == size)
			size *= 2;
	}
	buf[used] = '\0';
	if (ret_len)
		*ret_len = used;
	return ptr_take(&buf);
}

int io_write_file(int dirfd, const char *path, const char *text, struct err *err)
{
	auto_fd fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	size_t len = strlen(text);
	ssize_t n;

	if (fd < 0)
		return err_set(err, errno, "open %s", path);
	do {
		n = write(fd, text, len);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_set(err, errno, "write '%s' to %s", text, path);
	if ((size_t)n != len)
		return err_set(err, EIO, "write '%s' to %s: short write", text, path);
	return 0;
}

int io_replace_file(int dirfd, const char *path, const void *buf, size_t len, mode_t mode, struct err *err)
{
	char tmp[512];
	int ret;

	if (snprintf(tmp, sizeof(tmp), "%s.%d.tmp", path, (int)getpid()) >= (int)sizeof(tmp))
		return err_set(err, ENAMETOOLONG, "write %s", path);
	{
		auto_fd fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);

		if (fd < 0)
			return err_set(err, errno, "create %s", tmp);
		ret = io_write_all(fd, buf, len);
	}
	if (ret == 0 && renameat(dirfd, tmp, dirfd, path) < 0)
		ret = -errno;
	if (ret < 0) {
		unlinkat(dirfd, tmp, 0);
		return err_set(err, -ret, "write %s", path);
	}
	return 0;
}

/* What is gone already was somebody else's to remove. */
static int remove_entries(int dirfd, dev_t dev)
{
	auto_dir dir = fdopendir(dirfd);
	struct dirent *entry;

	if (!dir) {
		int saved = errno;

		close(dirfd);
		return -saved;
	}
	while ((errno = 0, entry = readdir(dir))) {
		struct stat st;
		int flags = 0;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (fstatat(dirfd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			if (errno == ENOENT)
				continue;
			return -errno;
		}
		if (st.st_dev != dev)
			return -EXDEV;
		if (S_ISDIR(st.st_mode)) {
			int sub = openat(dirfd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			int ret;

			if (sub < 0 && errno == ENOENT)
				continue;
			if (sub < 0)
				return -errno;
			ret = remove_entries(sub, dev);
			if (ret < 0)
				return ret;
			flags = AT_REMOVEDIR;
		}
		if (unlinkat(dirfd, entry->d_name, flags) < 0 && errno != ENOENT)
			return -errno;
	}
	return -errno;
}

static int remove_once(int dirfd, const char *path, struct err *err)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	int ret;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return err_set(err, errno, "open %s", path);
	if (fstat(fd, &st) < 0) {
		ret = -errno;
		close(fd);
		return err_set(err, -ret, "stat %s", path);
	}
	ret = remove_entries(fd, st.st_dev);
	if (ret < 0)
		return err_set(err, -ret, "remove the contents of %s", path);
	if (unlinkat(dirfd, path, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_set(err, errno, "remove %s", path);
	return 0;
}

int io_remove_tree(int dirfd, const char *path, struct err *err)
{
	int ret = 0;

	/* Whoever still puts files into it (a creator whose container is deleted) finds no directory soon. */
	for (int i = 0; i < REMOVE_ROUNDS; i++) {
		ret = remove_once(dirfd, path, err);
		if (ret != -ENOTEMPTY)
			break;
	}
	return ret;
}

int io_mkdir_parents(int dirfd, const char *path, mode_t mode, struct err *err)
{
	auto_free char *copy = strdup(path);
	char *slash;

	if (!copy)
		return err_set(err, ENOMEM, "mkdir %s", path);
	slash = copy;
	while ((slash = strchr(slash + 1, '/'))) {
		*slash = '\0';
		if (mkdirat(dirfd, copy, mode) < 0 && errno != EEXIST)
			return err_set(err, errno, "mkdir %s", copy);
		*slash = '/';
	}
	if (mkdirat(dirfd, copy, mode) < 0 && errno != EEXIST)
		return err_set(err, errno, "mkdir %s", copy);
	return 0;
}

void io_timestamp(char out[IO_TIMESTAMP_MAX])
{
	struct timespec now;
	struct tm tm;
	char base[40];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(base, sizeof(base), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out, IO_TIMESTAMP_MAX, "%s.%09ldZ", base, now.tv_nsec);
}

int64_t io_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

int io_wait_readable(int fd, int64_t deadline_ms)
{
	for (;;) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		int64_t left = deadline_ms - io_now_ms();
		int n;

		if (left < 0)
			return -ETIMEDOUT;
		n = poll(&pfd, 1, left > 1000000 ? 1000000 : (int)left);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

int io_set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

int io_reopen_nonblocking(int fd, int flags)
{
	struct stat st;
	char path[32];
	int own;

	/* A file never blocks, and its position and O_APPEND are the caller's, who may write there as well. */
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		return own < 0 ? -errno : own;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, flags | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (own >= 0)
		return own;
	own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (own >= 0 && io_set_nonblocking(own) < 0) {
		close(own);
		return -EBADF;
	}
	return own < 0 ? -errno : own;
}

int io_fill_standard_fds(void)
{
	for (;;) {
		int fd = open("/dev/null", O_RDWR);

		if (fd < 0)
			return -errno;
		if (fd > STDERR_FILENO) {
			close(fd);
			return 0;
		}
	}
}
