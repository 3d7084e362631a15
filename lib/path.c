/* SPDX-License-Identifier: Apache-2.0 */
/* Paths below a root that somebody else controls. */
#include "lib/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"

int path_open_in_root(int root, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned int)flags | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int fd;

	do {
		fd = (int)syscall(SYS_openat2, root, *path ? path : "/", &how, sizeof(how));
	} while (fd < 0 && (errno == EINTR || errno == EAGAIN)); /* EAGAIN: a rename raced with the walk */
	return fd < 0 ? -errno : fd;
}

/* The directory that holds the last component of path; copies that component to name. */
static int make_parent(int root, const char *path, mode_t mode, char name[NAME_MAX + 1])
{
	char parent[PATH_MAX];
	size_t len = strlen(path);
	const char *last;

	while (len > 1 && path[len - 1] == '/')
		len--;
	if (len >= sizeof(parent))
		return -ENAMETOOLONG;
	memcpy(parent, path, len);
	parent[len] = '\0';
	last = strrchr(parent, '/');
	last = last ? last + 1 : parent;
	if (strlen(last) > NAME_MAX)
		return -ENAMETOOLONG;
	strcpy(name, last);
	parent[last - parent] = '\0';
	return path_make_directory(root, parent, mode);
}

int path_make_directory(int root, const char *path, mode_t mode)
{
	int fd = path_open_in_root(root, path, O_PATH | O_DIRECTORY);
	char name[NAME_MAX + 1];
	auto_fd parent = -1;

	if (fd != -ENOENT)
		return fd;
	parent = make_parent(root, path, mode, name);
	if (parent < 0)
		return fd_take(&parent);
	/* "." and ".." as the last component, or a dangling link there: refuse rather than guess. */
	if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
		return -ENOENT;
	if (mkdirat(parent, name, mode) < 0)
		return errno == EEXIST ? -ENOTDIR : -errno;
	return path_open_in_root(root, path, O_PATH | O_DIRECTORY);
}

int path_make_file(int root, const char *path, mode_t mode)
{
	int fd = path_open_in_root(root, path, O_PATH);
	char name[NAME_MAX + 1];
	auto_fd parent = -1;
	auto_fd made = -1;

	if (fd != -ENOENT)
		return fd;
	parent = make_parent(root, path, 0755, name);
	if (parent < 0)
		return fd_take(&parent);
	if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
		return -ENOENT;
	made = openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, mode);
	if (made < 0)
		return -errno;
	return path_open_in_root(root, path, O_PATH);
}
