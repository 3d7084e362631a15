/* SPDX-License-Identifier: Apache-2.0 */
/* Templates. */
#include "runtime/template.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/log.h"
#include "runtime/state.h"
#include "runtime/vm.h"

#define NAME_FORMAT "%um-%uc"
/* Below it, while a template is made. */
#define NEW "new"
#define OLD "old"

int template_open(const char *directory, const struct vm_size *size, const char *identity)
{
	char path[PATH_MAX];
	auto_free char *known = NULL;
	auto_fd dir = -1;
	struct err ignored;

	if (snprintf(path, sizeof(path), "%s/" NAME_FORMAT, directory, size->memory_mib, size->vcpus) >= (int)sizeof(path))
		return -1;
	/* Both files of the same template, whoever replaces it meanwhile. */
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	known = dir < 0 ? NULL : io_read_file(dir, "identity", VM_IDENTITY_MAX, NULL, &ignored);
	return known && !strcmp(known, identity) ? openat(dir, "snapshot", O_RDONLY | O_CLOEXEC) : -1;
}

/* Waits for the VMM, which ends by itself when it has saved the guest. */
static int wait_until_saved(pid_t pid, const struct settings *settings, const char *directory, struct err *err)
{
	auto_fd pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	char last[700];
	int status, ret = pidfd < 0 ? -errno : io_wait_readable(pidfd, io_now_ms() + settings->boot_timeout_s * 1000LL);

	if (ret < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_set(err, errno, "wait for the VMM");
	vm_last_log(directory, last, sizeof(last));
	if (ret < 0)
		return err_set(err, -ret, "a guest that is to be saved%s%s", *last ? ": " : "", last);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return err_msg(err, EIO, "the guest was not saved: %s", *last ? last : "the VMM was killed");
	return 0;
}

static int boot_and_save(const struct vm_start *start, struct err *err)
{
	struct vm_process vm;
	auto_fd owner = -1, ready = -1;
	int ret = vm_start(start, &vm, err);

	owner = vm.owner;
	ready = vm.ready;
	if (ret == 0)
		return wait_until_saved(vm.pid, start->settings, start->state->directory, err);
	if (vm.pid > 0) {
		kill(vm.pid, SIGKILL);
		waitpid(vm.pid, NULL, 0);
	}
	return ret;
}

/* Makes the files of a template in an empty directory. */
static int fill(const struct runtime *runtime, const struct settings *settings, struct state *state, struct err *err)
{
	auto_fd snapshot = openat(state->dirfd, "snapshot", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	char identity[VM_IDENTITY_MAX];
	struct vm_start start = {
		.runtime = runtime,
		.settings = settings,
		.state = state,
		.snapshot = snapshot,
		.identity = identity,
	};

	if (snapshot < 0 || mkdirat(state->dirfd, "vm", 0700) < 0)
		return err_set(err, errno, "make a template in %s", state->directory);
	if (boot_and_save(&start, err) < 0 || io_remove_tree(state->dirfd, "vm", err) < 0)
		return -err->code;
	if (unlinkat(state->dirfd, "vmm.log", 0) < 0)
		return err_set(err, errno, "remove vmm.log");
	return io_replace_file(state->dirfd, "identity", identity, strlen(identity), 0600, err);
}

/* One at a time makes or removes templates. The lock lasts as long as the descriptor of the directory. */
static int lock_directory(const char *path, struct err *err)
{
	auto_fd fd = -1;

	if (io_mkdir_parents(AT_FDCWD, path, 0700, err) < 0)
		return -err->code;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX) < 0)
		return err_set(err, errno, "lock %s", path);
	return fd_take(&fd);
}

/* Directories can only be renamed onto empty ones: the old template goes first. */
static int publish(int directory, const char *name, struct err *err)
{
	if (renameat(directory, name, directory, OLD) < 0 && errno != ENOENT)
		return err_set(err, errno, "move the old template away");
	if (renameat(directory, NEW, directory, name) < 0)
		return err_set(err, errno, "put the template into place");
	return io_remove_tree(directory, OLD, err);
}

int template_create(const struct runtime *runtime, const struct settings *settings, struct err *err)
{
	struct vm_size size = vm_choose_size(settings, NULL);
	auto_fd directory = lock_directory(settings->template_dir, err);
	struct state state = { .dirfd = -1 };
	char name[NAME_MAX];
	struct err ignored;
	int ret;

	/* What is there of one that was interrupted. */
	if (directory < 0 || io_remove_tree(directory, NEW, err) < 0 || io_remove_tree(directory, OLD, err) < 0)
		return -err->code;
	if (snprintf(state.directory, sizeof(state.directory), "%s/" NEW, settings->template_dir) >= (int)sizeof(state.directory))
		return err_set(err, ENAMETOOLONG, "template_dir");
	if (mkdirat(directory, NEW, 0700) < 0)
		return err_set(err, errno, "mkdir %s", state.directory);
	state.dirfd = openat(directory, NEW, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ret = state.dirfd < 0 ? err_set(err, errno, "open %s", state.directory) : fill(runtime, settings, &state, err);
	state_close(&state);
	snprintf(name, sizeof(name), NAME_FORMAT, size.memory_mib, size.vcpus);
	if (ret == 0)
		ret = publish(directory, name, err);
	if (ret < 0 && io_remove_tree(directory, NEW, &ignored) < 0)
		log_warn("%s", ignored.msg);
	return ret;
}

int template_list(const char *path, void (*visit)(void *ctx, const struct vm_size *size, uint64_t bytes), void *ctx, struct err *err)
{
	struct dirent *entry;
	DIR *directory = opendir(path);

	if (!directory)
		return errno == ENOENT ? 0 : err_set(err, errno, "open %s", path);
	while ((entry = readdir(directory))) {
		struct vm_size size;
		char file[300];
		struct stat st;
		int end = 0;

		snprintf(file, sizeof(file), "%s/snapshot", entry->d_name);
		if (sscanf(entry->d_name, NAME_FORMAT "%n", &size.memory_mib, &size.vcpus, &end) == 2 && end && !entry->d_name[end] &&
		    fstatat(dirfd(directory), file, &st, AT_SYMLINK_NOFOLLOW) == 0)
			visit(ctx, &size, (uint64_t)st.st_blocks * 512);
	}
	closedir(directory);
	return 0;
}

int template_remove_all(const char *path, struct err *err)
{
	auto_fd lock = lock_directory(path, err);
	DIR *directory = lock < 0 ? NULL : fdopendir(openat(lock, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *entry;
	int ret = 0;

	if (!directory)
		return lock < 0 ? lock : err_set(err, errno, "list the templates");
	while (ret == 0 && (entry = readdir(directory)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			ret = io_remove_tree(lock, entry->d_name, err);
	closedir(directory);
	return ret;
}
