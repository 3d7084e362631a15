/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a VMM: arguments, namespaces, identity maps. */
#include "runtime/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/ports.h"
#include "lib/cleanup.h"
#include "lib/fdpass.h"
#include "lib/io.h"
#include "lib/json.h"
#include "lib/log.h"
#include "runtime/guest_image.h"
#include "runtime/network.h"
#include "runtime/pod.h"
#include "runtime/template.h"

#define ARGS_MAX 200
#define GUEST_FDS 524288
#define SLOTS 8 /* for devices that come later: memory, networks, disks */

/*
 * No console driver before there is something to say (init still gets a /dev/console that swallows); panics come out of
 * port 0x3f8. No legacy probing, no waiting, no patching of locks for a single processor, no dummy0. No asynchronous page
 * faults: guest memory is not swapped in the cases that matter, and a lost "page ready" is a stall. Memory that comes later is
 * usable at once: what the option for that is called in the configuration changes from version to version, this does not.
 * No complaint on AMD's processors about return thunks, which the guest's kernel does without (guest-kernel/config): what
 * it does against the overflow of return stacks is what microcode does.
 */
#define CMDLINE                                                                                                       \
	"quiet panic=-1 reboot=t earlyprintk=ttyS0,nocfg,keep console=ttynull tsc=reliable no_timer_check "           \
	"noreplace-smp random.trust_cpu=on cgroup_no_v1=all rcupdate.rcu_expedited=1 no-kvmapf dummy.numdummies=0 " \
	"memhp_default_state=online spec_rstack_overflow=microcode "

struct args {
	char *list[ARGS_MAX + 1];
	size_t n;
};

static void __attribute__((format(printf, 2, 3))) add(struct args *args, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (args->n < ARGS_MAX && vasprintf(&args->list[args->n], fmt, ap) >= 0)
		args->n++;
	va_end(ap);
}

/* A descriptor that the VMM inherits: without close-on-exec, in this child only. */
static void pass_fd(int fd)
{
	if (fcntl(fd, F_SETFD, 0) < 0)
		_exit(1);
}

/* What a guest finds when it boots, the same for all that may come from one template. */
static void add_machine(struct args *args, const struct vm_start *start, const struct vm_size *size)
{
	add(args, "--cmdline=%s%s", CMDLINE, start->settings->kernel_parameters);
	add(args, "--memory=%u", size->memory_mib);
	add(args, "--growth=%u", vm_growth_mib(start->settings, size->memory_mib));
	add(args, "--slots=%d", SLOTS);
	add(args, "--vcpus=%u", size->vcpus);
	add(args, "--control=control");
	add(args, "--vsock=vsock");
	add(args, "--fs=cella");
	add(args, "--balloon");
}

static void add_container(struct args *args, const struct vm_start *start)
{
	for (size_t i = 0; i < start->shares->n; i++)
		add(args, "--share=%s=%d", start->shares->shares[i].name, start->shares->shares[i].fd);
	if (start->settings->network_mbit)
		add(args, "--net-rate=%llu", start->settings->network_mbit * 1000000ULL / 8);
	for (size_t i = 0; i < start->network->n; i++) {
		const struct network_link *link = &start->network->links[i];

		add(args, "--net=%02x:%02x:%02x:%02x:%02x:%02x=%d", link->mac[0], link->mac[1], link->mac[2], link->mac[3],
		    link->mac[4], link->mac[5], link->tap);
	}
	if (pod_is_sandbox(start->config))
		add(args, "--late-disks");
	for (size_t i = 0; i < start->disks->n; i++)
		add(args, "--disk-fd=%s=%d", start->disks->disks[i].id, start->disks->disks[i].fd);
}

/* What the VMM gets besides: descriptors of ours, which it inherits. */
struct sources {
	struct guest_image image;
	int kvm, owner, log, sync;
	int template; /* -1: the guest boots */
};

static void build_args(struct args *args, const struct vm_start *start, const struct vm_size *size,
		       const struct sources *sources)
{
	add(args, "%s/cella-vmm", start->settings->libexec_dir);
	add_machine(args, start, size);
	if (sources->template >= 0) {
		add(args, "--restore-fd=%d", sources->template);
	} else {
		add(args, "--kernel-fd=%d", sources->image.kernel);
		add(args, "--initrd-fd=%d", sources->image.initrd);
	}
	add(args, "--kvm-fd=%d", sources->kvm);
	add(args, "--owner-fd=%d", sources->owner);
	add(args, "--root=%s/vm", start->state->directory);
	if (start->identity)
		add(args, "--snapshot-fd=%d", start->snapshot);
	else
		add_container(args, start);
	args->list[args->n] = NULL;
}

static void free_args(struct args *args)
{
	while (args->n > 0)
		free(args->list[--args->n]);
}

/* Everything that a template depends on: this boot of the host, the VMM, kernel and initramfs, the machine. */
static int identify(char out[VM_IDENTITY_MAX], const struct vm_start *start, const struct vm_size *size,
		    const struct guest_image *image, struct err *err)
{
	auto_free char *boot_id = io_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, NULL, err);
	char path[PATH_MAX + 16];
	struct args args = { .n = 0 };
	auto_fd vmm = -1;
	size_t used;

	if (!boot_id)
		return -err->code;
	snprintf(path, sizeof(path), "%s/cella-vmm", start->settings->libexec_dir);
	vmm = open(path, O_PATH | O_CLOEXEC);
	snprintf(out, VM_IDENTITY_MAX, "%s%s", boot_id, image->identity);
	if (vmm < 0 || guest_image_add_identity(out, VM_IDENTITY_MAX, vmm) < 0)
		return err_set(err, errno, "look at %s", path);
	add_machine(&args, start, size);
	for (size_t i = 0; i < args.n; i++) {
		used = strlen(out);
		snprintf(out + used, VM_IDENTITY_MAX - used, "%s\n", args.list[i]);
	}
	free_args(&args);
	return 0;
}

/* Into such a VM disks and networks come through slots, one of which is for memory. */
static bool may_come_from_template(const struct vm_start *start)
{
	return !start->identity && start->disks->n + start->network->n < SLOTS;
}

static void pass_container(const struct vm_start *start)
{
	for (size_t i = 0; i < start->shares->n; i++)
		pass_fd(start->shares->shares[i].fd);
	for (size_t i = 0; i < start->network->n; i++)
		pass_fd(start->network->links[i].tap);
	for (size_t i = 0; i < start->disks->n; i++)
		pass_fd(start->disks->disks[i].fd);
}

/* The child: waits for its id maps, then becomes the VMM. */
static _Noreturn void become_vmm(const struct args *args, const struct vm_start *start, const struct sources *sources)
{
	const int fds[] = { sources->image.kernel, sources->image.initrd, sources->kvm, sources->owner, sources->template,
			    start->identity ? start->snapshot : -1 };
	struct rlimit files = { GUEST_FDS, GUEST_FDS };
	sigset_t none;
	char byte;

	if (io_read_all(sources->sync, &byte, 1) < 0)
		_exit(1);
	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Best effort: with fewer, a guest that holds many files open gets ENFILE earlier. */
	setrlimit(RLIMIT_NOFILE, &files);
	if (dup2(sources->log, 1) < 0 || dup2(sources->log, 2) < 0)
		_exit(1);
	close(0);
	if (open("/dev/null", O_RDONLY) != 0)
		_exit(1);
	/* What the caller left open (docker's and shells' descriptors) goes no further. */
	syscall(SYS_close_range, 3, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			pass_fd(fds[i]);
	if (!start->identity)
		pass_container(start);
	execve(args->list[0], args->list, (char *[]){ NULL });
	dprintf(2, "cella-vmm: run %s: %s\n", args->list[0], strerror(errno));
	_exit(1);
}

/*
 * Every id that we have, mapped to itself: files keep their owners, while capabilities hold for nothing but files.
 * user_namespaces(7): a map may name only what is mapped here.
 */
static int write_identity_map(pid_t pid, const char *file, struct err *err)
{
	char path[64], map[4096];
	size_t used = 0;
	char *line, *rest;
	auto_free char *own = NULL;

	snprintf(path, sizeof(path), "/proc/self/%s", file);
	own = io_read_file(AT_FDCWD, path, 65536, NULL, err);
	if (!own)
		return -err->code;
	rest = own;
	while ((line = strsep(&rest, "\n")) && used < sizeof(map) - 64) {
		unsigned long inside, outside, count;

		if (sscanf(line, "%lu %lu %lu", &inside, &outside, &count) == 3)
			used += (size_t)snprintf(map + used, sizeof(map) - used, "%lu %lu %lu\n", inside, inside, count);
	}
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	return io_write_file(AT_FDCWD, path, map, err);
}

static pid_t clone_vmm(void)
{
	return (pid_t)syscall(SYS_clone,
			      CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | SIGCHLD,
			      NULL, NULL, NULL, 0);
}

static int open_kvm(struct err *err)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	return err_set(err, errno, "open /dev/kvm (cella needs hardware virtualization: see cella check)");
}

static int listen_ready(const struct vm_start *start, struct err *err)
{
	char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/vm/vsock_%d", start->state->directory, PORT_READY);
	return fdpass_listen(path, 4, err);
}

/* Before its first page is touched: memory belongs to the cgroup of whoever touched it first. */
static int enter_cgroup(const struct vm_start *start, pid_t pid, struct err *err)
{
	const json_t *resources = json_object_get(json_object_get(start->config, "linux"), "resources");

	return host_cgroup_create(start->cgroup, start->runtime, start->config, start->state->id, start->state->dirfd, pid,
				  vm_memory_mib(start->settings, resources), err);
}

/* A guest from a template needs neither kernel nor initramfs; they are opened, and so checked, all the same. */
static int open_sources(struct sources *sources, const struct vm_start *start, const struct vm_size *size, struct err *err)
{
	char identity[VM_IDENTITY_MAX];

	sources->kvm = open_kvm(err);
	if (sources->kvm < 0 || guest_image_open(&sources->image, start->settings, start->runtime->root, err) < 0 ||
	    identify(start->identity ? start->identity : identity, start, size, &sources->image, err) < 0)
		return -err->code;
	if (may_come_from_template(start))
		sources->template = template_open(start->settings->template_dir, size, identity);
	sources->log = openat(start->state->dirfd, "vmm.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	return sources->log < 0 ? err_set(err, errno, "open the VMM's log") : 0;
}

static void close_sources(struct sources *sources)
{
	fd_close(&sources->image.kernel);
	fd_close(&sources->image.initrd);
	fd_close(&sources->kvm);
	fd_close(&sources->owner);
	fd_close(&sources->log);
	fd_close(&sources->sync);
	fd_close(&sources->template);
}

static int make_pipe(int *read_end, int *write_end, struct err *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set(err, errno, "create a pipe");
	*read_end = ends[0];
	*write_end = ends[1];
	return 0;
}

static int spawn(const struct vm_start *start, const struct vm_size *size, struct sources *sources,
		 struct vm_process *vm, struct err *err)
{
	struct args args = { .n = 0 };
	auto_fd sync = -1;

	if (make_pipe(&sources->sync, &sync, err) < 0 || make_pipe(&sources->owner, &vm->owner, err) < 0)
		return -err->code;
	build_args(&args, start, size, sources);
	vm->pid = clone_vmm();
	if (vm->pid == 0) {
		/* Our end of the pipes must not keep the VMM alive, nor its own sync pipe open. */
		close(vm->owner);
		close(sync);
		become_vmm(&args, start, sources);
	}
	free_args(&args);
	if (vm->pid < 0)
		return err_set(err, errno, "create the VMM's namespaces");
	if (write_identity_map(vm->pid, "uid_map", err) < 0 || write_identity_map(vm->pid, "gid_map", err) < 0 ||
	    (start->cgroup && enter_cgroup(start, vm->pid, err) < 0) || io_write_all(sync, "", 1) < 0)
		return err_wrap(err, "start the VMM");
	return 0;
}

int vm_start(const struct vm_start *start, struct vm_process *vm, struct err *err)
{
	const json_t *resources = json_object_get(json_object_get(start->config, "linux"), "resources");
	struct sources sources = { { .kernel = -1, .initrd = -1 }, -1, -1, -1, -1, -1 };
	struct vm_size size = vm_choose_size(start->settings, resources);
	int ret = open_sources(&sources, start, &size, err);

	*vm = (struct vm_process){ .pid = 0, .owner = -1, .ready = -1 };
	if (ret == 0) {
		vm->ready = listen_ready(start, err);
		ret = vm->ready < 0 ? vm->ready : spawn(start, &size, &sources, vm, err);
	}
	if (ret == 0)
		log_debug("VMM %d: %u MiB, %u vCPUs, the guest %s", (int)vm->pid, size.memory_mib, size.vcpus,
			  sources.template >= 0 ? "goes on from a template" : "boots");
	close_sources(&sources);
	return ret;
}

void vm_last_log(const char *directory, char *out, size_t size)
{
	char path[PATH_MAX + 16];
	auto_free char *text = NULL;
	const char *start;
	struct err err;
	size_t len;

	*out = '\0';
	snprintf(path, sizeof(path), "%s/vmm.log", directory);
	text = io_read_file(AT_FDCWD, path, 1 << 20, &len, &err);
	if (!text)
		return;
	while (len > 0 && text[len - 1] == '\n')
		text[--len] = '\0';
	/* A panic says why in its first line; what follows it are addresses. */
	start = strstr(text, "Kernel panic");
	if (!start)
		start = len < size ? text : text + len - size + 1;
	snprintf(out, size, "%s", start);
	for (char *c = out; *c; c++)
		if (*c == '\n')
			*c = ';';
}
