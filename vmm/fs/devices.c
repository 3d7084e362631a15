/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device nodes that a guest makes. They are for its own kernel, and the host has none of them: there they are empty files
 * with the sticky bit, and an extended attribute, which no guest can reach, says what they are: "c 1:3", with a " t" behind it if
 * the node has the sticky bit itself. Without that bit a file costs nothing more. A whiteout (character device 0:0), which the host
 * lets anybody make, is one there, too.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "vmm/fs/operations.h"

#define ATTRIBUTE XATTRS_PREFIX_ON_HOST "device"
#define MAJOR_MAX 0xfff	  /* MINORBITS of Linux: 20 */
#define MINOR_MAX 0xfffff
#define TEXT_MAX 32

struct device {
	mode_t type; /* S_IFCHR or S_IFBLK */
	unsigned int major, minor;
	bool sticky;
};

static bool parse_number(const char **at, char end, unsigned int max, unsigned int *number)
{
	const char *digit = *at;

	*number = 0;
	while (*digit >= '0' && *digit <= '9' && *number <= max)
		*number = *number * 10 + (unsigned int)(*digit++ - '0');
	if (digit == *at || *digit != end || *number > max)
		return false;
	*at = digit;
	return true;
}

/* What is there may be anybody's on the host: all but the exact form is none. */
static bool parse(const char *text, struct device *device)
{
	if ((text[0] != 'c' && text[0] != 'b') || text[1] != ' ')
		return false;
	device->type = text[0] == 'c' ? S_IFCHR : S_IFBLK;
	text += 2;
	if (!parse_number(&text, ':', MAJOR_MAX, &device->major))
		return false;
	text++;
	device->sticky = strchr(text, ' ') != NULL;
	return parse_number(&text, device->sticky ? ' ' : '\0', MINOR_MAX, &device->minor) && (!device->sticky || !strcmp(text, " t"));
}

static bool read_device(int fd, const struct stat *st, struct device *device)
{
	char text[TEXT_MAX];
	ssize_t n;

	if (!S_ISREG(st->st_mode) || !(st->st_mode & S_ISVTX) || st->st_size != 0)
		return false;
	n = getxattr(magic_path(fd).name, ATTRIBUTE, text, sizeof(text) - 1);
	if (n < 0)
		return false;
	text[n] = '\0';
	return parse(text, device);
}

static int write_device(int fd, const struct device *device)
{
	char text[TEXT_MAX];
	int n = snprintf(text, sizeof(text), "%c %u:%u%s", device->type == S_IFCHR ? 'c' : 'b', device->major, device->minor,
			 device->sticky ? " t" : "");

	return setxattr(magic_path(fd).name, ATTRIBUTE, text, (size_t)n, 0);
}

static int make_file(struct passthrough *fs, int directory, const char *name, mode_t mode, dev_t rdev)
{
	struct device device = {
		.type = mode & S_IFMT,
		.major = major(rdev),
		.minor = minor(rdev),
		.sticky = mode & S_ISVTX,
	};
	auto_fd fd = -1;

	fd = openat(directory, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, (mode & 06777) | S_ISVTX);
	if (fd < 0)
		return -1;
	if (write_device(fd, &device) < 0) {
		int error = errno;

		(void)unlinkat(directory, name, 0);
		/* Where the host has no attributes there are no device nodes: mknod(2). */
		errno = error == EOPNOTSUPP ? EPERM : error;
		return -1;
	}
	fs->has_devices = true;
	return 0;
}

int devices_make(struct passthrough *fs, int directory, const char *name, mode_t mode, dev_t rdev)
{
	bool device = S_ISBLK(mode) || (S_ISCHR(mode) && rdev != 0);

	if (!device && mknodat(directory, name, mode, rdev) == 0)
		return 0;
	/* An overlay of the host's takes no whiteouts from anybody. */
	if (!device && (errno != EPERM || !S_ISCHR(mode)))
		return -1;
	return make_file(fs, directory, name, mode, rdev);
}

int devices_stat(struct passthrough *fs, int fd, struct stat *st)
{
	struct device device;

	if (fstatat(fd, "", st, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	if (read_device(fd, st, &device)) {
		st->st_mode = device.type | (st->st_mode & 06777) | (device.sticky ? S_ISVTX : 0);
		st->st_rdev = makedev(device.major, device.minor);
		fs->has_devices = true;
	}
	return 0;
}

unsigned char devices_entry_type(struct passthrough *fs, int directory, const char *name, unsigned char type)
{
	struct stat st;
	auto_fd fd = -1;

	if (type != DT_REG || !fs->has_devices || fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !(st.st_mode & S_ISVTX))
		return type;
	fd = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return fd >= 0 && devices_stat(fs, fd, &st) == 0 ? IFTODT(st.st_mode) : type;
}

int devices_change_mode(struct passthrough *fs, int fd, mode_t mode)
{
	struct magic_path path = magic_path(fd);
	struct device device;
	struct stat st;

	if (fstatat(fd, "", &st, AT_EMPTY_PATH) == 0 && read_device(fd, &st, &device)) {
		device.sticky = mode & S_ISVTX;
		if (write_device(fd, &device) < 0)
			return -1;
		mode |= S_ISVTX;
	}
	return fchmodat(fs->proc_self_fd, path.name, mode, 0);
}
