/* SPDX-License-Identifier: Apache-2.0 */
/* The guest as a whole. */
#include "agent/guest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <linux/virtio_ids.h>
#include <net/if.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/cgroup.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/log.h"
#include "lib/rlimit.h"

#define ENTROPY_MAX 256
#define PLATFORM "/sys/bus/platform"
#define DRIVER PLATFORM "/drivers/virtio-mmio"

static const struct base_mount {
	const char *type, *target;
	unsigned long flags;
	const char *options;
} base_mounts[] = {
	{ "proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL },
	{ "sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL },
	{ "devtmpfs", "/dev", MS_NOSUID, "mode=755" },
	{ "cgroup2", CGROUP_ROOT, MS_NOSUID | MS_NODEV | MS_NOEXEC, "nsdelegate,memory_recursiveprot" },
};

/*
 * The kernel cannot pivot_root away from the initramfs itself (pivot_root(2), NOTES), so the agent moves to a tmpfs on
 * top of it: then every container can pivot.
 */
static int leave_initramfs(struct err *err)
{
	static const char *const directories[] = { "proc", "sys", "dev", "run", "run/share", "tmp" };

	if (mkdir("/root", 0755) < 0 && errno != EEXIST)
		return err_set(err, errno, "mkdir /root");
	if (mount("root", "/root", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=16m") < 0)
		return err_set(err, errno, "mount the root");
	if (chdir("/root") < 0)
		return err_set(err, errno, "enter the root");
	for (size_t i = 0; i < ARRAY_SIZE(directories); i++)
		if (mkdir(directories[i], 0755) < 0)
			return err_set(err, errno, "mkdir /%s", directories[i]);
	if (mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
		return err_set(err, errno, "move to the root");
	return 0;
}

int guest_mount_base(struct err *err)
{
	int ret = leave_initramfs(err);

	if (ret < 0)
		return ret;
	for (size_t i = 0; i < ARRAY_SIZE(base_mounts); i++) {
		const struct base_mount *base = &base_mounts[i];

		if (mount(base->type, base->target, base->type, base->flags, base->options) < 0)
			return err_set(err, errno, "mount %s", base->target);
	}
	return 0;
}

int guest_mount_share(const char *tag, struct err *err)
{
	if (mount(tag, GUEST_SHARE, "virtiofs", 0, NULL) < 0)
		return err_set(err, errno, "mount the shared directory '%s'", tag);
	return 0;
}

void guest_visit_share(const char *path)
{
	char full[PATH_MAX];

	/* Who needs it says what is wrong with it. */
	snprintf(full, sizeof(full), GUEST_SHARE "/%s", path);
	if (access(full, F_OK) < 0)
		log_debug("%s: %s", full, strerror(errno));
}

void guest_for_each_share(void (*visit)(const char *mount_point, void *ctx), void *ctx)
{
	auto_file mounts = fopen("/proc/self/mountinfo", "re");
	auto_free char *line = NULL;
	size_t size = 0;

	while (mounts && getline(&line, &size, mounts) > 0) {
		char point[64];

		/* proc(5): the fifth field. Longer ones are none of ours. */
		if (sscanf(line, "%*s %*s %*s %*s %63s", point) == 1 && !strncmp(point, GUEST_SHARE "/", sizeof(GUEST_SHARE)))
			visit(point, ctx);
	}
}

static void visit_mounted(const char *mount_point, void *ctx)
{
	(void)ctx;
	guest_visit_share(mount_point + sizeof(GUEST_SHARE));
}

void guest_visit_mounted_shares(void)
{
	guest_for_each_share(visit_mounted, NULL);
}

int guest_set_clock(int64_t realtime_ns, struct err *err)
{
	struct timespec now = { .tv_sec = realtime_ns / 1000000000, .tv_nsec = realtime_ns % 1000000000 };

	if (clock_settime(CLOCK_REALTIME, &now) < 0)
		return err_set(err, errno, "set the clock");
	return 0;
}

int guest_add_entropy(const uint8_t *bytes, size_t len, struct err *err)
{
	auto_fd fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
	struct {
		struct rand_pool_info info;
		uint8_t bytes[ENTROPY_MAX];
	} pool = { 0 };

	if (fd < 0)
		return err_set(err, errno, "open /dev/urandom");
	if (len > sizeof(pool.bytes))
		len = sizeof(pool.bytes);
	pool.info.entropy_count = (int)(len * 8);
	pool.info.buf_size = (int)len;
	memcpy(pool.bytes, bytes, len);
	if (ioctl(fd, RNDADDENTROPY, &pool) < 0 || ioctl(fd, RNDRESEEDCRNG) < 0)
		return err_set(err, errno, "seed the random pool");
	return 0;
}

static long read_number(const char *slot, const char *device, const char *file)
{
	char path[PATH_MAX];
	auto_free char *text = NULL;
	struct err ignored;

	snprintf(path, sizeof(path), PLATFORM "/devices/%s/%s/%s", slot, device, file);
	text = io_read_file(AT_FDCWD, path, 64, NULL, &ignored);
	return text ? strtol(text, NULL, 16) : -1;
}

/*
 * Whether a network device went without its driver having let go (its container hid it, or whoever asked for it was killed),
 * and another one came in its place or not: the window says that no driver has set the device up (virtio 1.2, 3.1.1).
 */
static bool is_stale(const char *slot)
{
	char path[PATH_MAX];
	auto_dir directory = NULL;
	struct dirent *entry;

	snprintf(path, sizeof(path), PLATFORM "/devices/%s", slot);
	directory = opendir(path);
	while (directory && (entry = readdir(directory)))
		if (!strncmp(entry->d_name, "virtio", 6) && read_number(slot, entry->d_name, "device") == VIRTIO_ID_NET)
			return read_number(slot, entry->d_name, "status") == 0;
	return false;
}

int guest_find_devices(struct err *err)
{
	DIR *directory = opendir(PLATFORM "/devices");
	struct dirent *entry;
	int ret = 0;

	if (!directory)
		return err_set(err, errno, "open " PLATFORM "/devices");
	while (ret == 0 && (entry = readdir(directory))) {
		char driver[PATH_MAX];

		/* As the device tree has them: <address>.virtio. */
		if (!strstr(entry->d_name, ".virtio"))
			continue;
		snprintf(driver, sizeof(driver), PLATFORM "/devices/%s/driver", entry->d_name);
		if (access(driver, F_OK) == 0) {
			if (!is_stale(entry->d_name))
				continue;
			ret = io_write_file(AT_FDCWD, DRIVER "/unbind", entry->d_name, err);
		}
		if (ret == 0)
			ret = io_write_file(AT_FDCWD, DRIVER "/bind", entry->d_name, err);
		if (ret == -ENODEV) /* still empty */
			ret = 0;
	}
	closedir(directory);
	return ret;
}

int guest_unbind(const char *class, const char *name, struct err *err)
{
	char link[PATH_MAX], path[PATH_MAX], *slash;

	/* .../<address>.virtio/virtio<N> */
	if (snprintf(link, sizeof(link), "/sys/class/%s/%s/device", class, name) >= (int)sizeof(link))
		return err_set(err, ENAMETOOLONG, "%s", name);
	if (!realpath(link, path))
		return err_set(err, errno, "%s", link);
	slash = strrchr(path, '/');
	*slash = '\0';
	slash = strrchr(path, '/');
	if (!slash || !strstr(slash, ".virtio"))
		return err_msg(err, EINVAL, "%s is no device of the host's", name);
	return io_write_file(AT_FDCWD, DRIVER "/unbind", slash + 1, err);
}

int guest_loopback_up(struct err *err)
{
	auto_fd fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = { .ifr_name = "lo" };

	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		return err_set(err, errno, "look at the loopback interface");
	request.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		return err_set(err, errno, "bring the loopback interface up");
	return 0;
}

/*
 * The kernel derives these from the memory that it finds at boot, which is that of a small machine; the VM may grow, and
 * containers' limits are their cgroups' and their processes'. One of the administrator's own may not have or allow them all.
 */
static void raise_sysctls(void)
{
	static const char *const sysctls[][2] = {
		{ "kernel/pid_max", "4194304" },
		{ "kernel/threads-max", "4194304" },
		{ "fs/file-max", "9223372036854775807" },
		{ "fs/inotify/max_user_watches", "524288" },
		{ "user/max_cgroup_namespaces", "65536" },
		{ "user/max_ipc_namespaces", "65536" },
		{ "user/max_mnt_namespaces", "65536" },
		{ "user/max_net_namespaces", "65536" },
		{ "user/max_pid_namespaces", "65536" },
		{ "user/max_time_namespaces", "65536" },
		{ "user/max_user_namespaces", "65536" },
		{ "user/max_uts_namespaces", "65536" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(sysctls); i++) {
		char path[64];
		struct err err;

		snprintf(path, sizeof(path), "/proc/sys/%s", sysctls[i][0]);
		if (io_write_file(AT_FDCWD, path, sysctls[i][1], &err) < 0)
			log_debug("%s", err.msg);
	}
}

void guest_raise_limits(void)
{
	raise_sysctls();
	for (int resource = 0; resource < RLIM_NLIMITS; resource++) {
		struct rlimit limit;

		if (getrlimit((__rlimit_resource_t)resource, &limit) < 0)
			continue;
		limit.rlim_max = resource == RLIMIT_NOFILE ? RLIMIT_GUEST_FILES : RLIM_INFINITY;
		/* PID 1 of the guest may; if not, containers keep the kernel's limits. */
		if (setrlimit((__rlimit_resource_t)resource, &limit) < 0)
			continue;
	}
}
