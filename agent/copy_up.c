/* SPDX-License-Identifier: Apache-2.0 */
/* Copying a directory tree by descriptors: links are copied, never followed. */
#include "agent/copy_up.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define DEPTH_MAX 64

static int copy_tree(int from, int to, int depth);

static int copy_file(int from, const char *name, int to, mode_t mode)
{
	auto_fd in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	auto_fd out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	ssize_t n;

	if (in < 0 || out < 0)
		return -errno;
	do {
		n = sendfile(out, in, NULL, 1 << 20);
	} while (n > 0);
	return n < 0 ? -errno : 0;
}

static int copy_link(int from, const char *name, int to)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(from, name, target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	return symlinkat(target, to, name) < 0 ? -errno : 0;
}

static int copy_directory(int from, const char *name, int to, mode_t mode, int depth)
{
	auto_fd in = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	auto_fd out = -1;

	if (in < 0 || mkdirat(to, name, mode) < 0)
		return -errno;
	out = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return out < 0 ? -errno : copy_tree(in, out, depth + 1);
}

static int copy_entry(int from, const char *name, int to, int depth)
{
	struct timespec times[2];
	struct stat st;
	int ret;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		ret = copy_directory(from, name, to, st.st_mode & 07777, depth);
	else if (S_ISLNK(st.st_mode))
		ret = copy_link(from, name, to);
	else if (S_ISREG(st.st_mode))
		ret = copy_file(from, name, to, st.st_mode & 07777);
	else
		ret = mknodat(to, name, st.st_mode, st.st_rdev) < 0 ? -errno : 0;
	if (ret < 0)
		return ret;
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	if (fchownat(to, name, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    (!S_ISLNK(st.st_mode) && fchmodat(to, name, st.st_mode & 07777, 0) < 0) ||
	    utimensat(to, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

static int copy_tree(int from, int to, int depth)
{
	int copy = fcntl(from, F_DUPFD_CLOEXEC, 0);
	auto_dir dir = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *entry;

	if (!dir) {
		if (copy >= 0)
			close(copy);
		return -errno;
	}
	if (depth > DEPTH_MAX)
		return -ELOOP;
	while ((errno = 0, entry = readdir(dir))) {
		int ret;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		ret = copy_entry(from, entry->d_name, to, depth);
		if (ret < 0)
			return ret;
	}
	return -errno;
}

int copy_up(int from, int to, struct err *err)
{
	auto_fd in = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_fd out = openat(to, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	int ret;

	if (in < 0 || out < 0 || fstat(in, &st) < 0)
		return err_set(err, errno, "tmpcopyup");
	ret = copy_tree(in, out, 0);
	if (ret == 0 && (fchown(out, st.st_uid, st.st_gid) < 0 || fchmod(out, st.st_mode & 07777) < 0))
		ret = -errno;
	return ret < 0 ? err_set(err, -ret, "tmpcopyup") : 0;
}
