/* SPDX-License-Identifier: Apache-2.0 */
/* The jail. */
#include "vmm/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/mount.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "seccomp_filters.h" /* generated: vmm/seccomp/compile.c */

/* <sys/mount.h> and <linux/mount.h> of Debian 12 cannot both be included. */
#define MOUNT_BIND 0x1000
#define MOUNT_REC 0x4000
#define MOUNT_PRIVATE (1 << 18)
#define UMOUNT_DETACH 2
int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data);
int umount2(const char *target, int flags);

int sandbox_open_proc(struct err *err)
{
	auto_fd context = (int)syscall(SYS_fsopen, "proc", FSOPEN_CLOEXEC);
	auto_fd mounted = -1;
	int fd;

	if (context < 0 || syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return err_set(err, errno, "create a procfs");
	mounted = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC,
			       MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	if (mounted < 0)
		return err_set(err, errno, "mount a procfs");
	fd = openat(mounted, "self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_set(err, errno, "open /proc/self/fd") : fd;
}

static int change_root(const char *dir, struct err *err)
{
	/* Nothing that is mounted or unmounted here travels back. */
	if (mount(NULL, "/", NULL, MOUNT_REC | MOUNT_PRIVATE, NULL) < 0)
		return err_set(err, errno, "make the mounts private");
	if (mount(dir, dir, NULL, MOUNT_BIND, NULL) < 0)
		return err_set(err, errno, "bind %s", dir);
	if (mount(NULL, dir, NULL, 0x20 /* MS_REMOUNT */ | MOUNT_BIND | 2 /* NOSUID */ | 4 /* NODEV */ | 8 /* NOEXEC */,
		  NULL) < 0)
		return err_set(err, errno, "remount %s", dir);
	/* pivot_root(".", "."): the old root ends up on top of the new one, where it can be detached (pivot_root(2)). */
	if (chdir(dir) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", UMOUNT_DETACH) < 0)
		return err_set(err, errno, "make %s the root", dir);
	return 0;
}

static int set_capabilities(uint64_t keep, struct err *err)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	for (int cap = 0; cap <= 63; cap++) {
		if (keep >> cap & 1)
			continue;
		/* EINVAL: this kernel has fewer capabilities. */
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EINVAL)
			return err_set(err, errno, "drop capability %d", cap);
		if (errno == EINVAL && cap > 40)
			break;
	}
	data[0].effective = data[0].permitted = (uint32_t)keep;
	data[1].effective = data[1].permitted = (uint32_t)(keep >> 32);
	if (syscall(SYS_capset, &header, data) < 0)
		return err_set(err, errno, "set capabilities");
	return 0;
}

#define BIT(cap) (1ULL << (cap))

/* chown, chmod, set-id bits, other users' files, other users' ids for new files, file capabilities: a file server's. */
#define FILE_CAPS                                                                                          \
	(BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER) | BIT(CAP_FSETID) | BIT(CAP_SETUID) |     \
	 BIT(CAP_SETGID) | BIT(CAP_SETFCAP))

int sandbox_enter(const char *dir, int proc_self_fd, bool keep_file_caps, struct err *err)
{
	int ret = change_root(dir, err);

	if (ret < 0)
		return ret;
	if (proc_self_fd >= 0 ? fchdir(proc_self_fd) < 0 : chdir("/") < 0)
		return err_set(err, errno, "leave the old root");
	umask(0); /* for what is not made by a guest: vmm/fs/passthrough.c */
	/* The file-system ids of a thread change without its capabilities changing: vmm/fs/passthrough.c. */
	if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_NOROOT | SECBIT_NOROOT_LOCKED,
		  0, 0, 0) < 0)
		return err_set(err, errno, "set securebits");
	ret = set_capabilities(keep_file_caps ? FILE_CAPS : 0, err);
	if (ret < 0)
		return ret;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set(err, errno, "set no_new_privs");
	return 0;
}

int sandbox_confine_thread(enum sandbox_thread kind)
{
	const struct seccomp_filter *filter = &seccomp_filters[kind];
	struct sock_fprog program = { .len = filter->len, .filter = (struct sock_filter *)filter->code };

	/* Without TSYNC: each thread has its own filter. */
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return -errno;
	return 0;
}
