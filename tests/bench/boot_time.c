/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot_time ready|first|syscalls cella|template|qemu KERNEL INITRD MEMORY_MIB CMDLINE
 * boot_time first floor KERNEL INITRD MEMORY_MIB CMDLINE
 * boot_time save template KERNEL INITRD MEMORY_MIB CMDLINE
 *
 * Starts a VMM with the guest image, or from the template that `save` made of it, and prints what it took:
 *   ready     nanoseconds from fork to the agent's first answer, and KVM's counters up to then
 *   first     nanoseconds from fork to the first guest instruction (the first kvm_entry)
 *   syscalls  system calls of the VMM up to the first guest instruction
 * `floor` is the least that any VMM does: this program again, one page of memory, one vCPU, one instruction.
 * Under QEMU's -icount shift=0 a nanosecond of CLOCK_MONOTONIC is an instruction. Runs on a host with tracefs and KVM's
 * debugfs, as root; the cella VMM is /usr/local/lib/cella/cella-vmm, in a mount namespace of its own as it expects.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/ports.h"

#define TRACE "/sys/kernel/tracing/instances/cella-bench"
#define KVM_STATS "/sys/kernel/debug/kvm"
#define TIMEOUT_MS 120000
#define QEMU_CID 4242
#define VMM "/usr/local/lib/cella/cella-vmm"
#define SNAPSHOT "/run/boot-time.snapshot" /* a tmpfs, where templates are */

static const char *const counters[] = {
	"exits", "mmio_exits", "io_exits", "irq_exits", "halt_exits", "insn_emulation", "pf_fixed", "hypercalls", "irq_injections",
};
#define COUNTERS (sizeof(counters) / sizeof(counters[0]))

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "boot_time: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		die(path);
	close(fd);
}

static void read_counters(int64_t values[COUNTERS])
{
	for (size_t i = 0; i < COUNTERS; i++) {
		char path[128];
		FILE *file;

		snprintf(path, sizeof(path), KVM_STATS "/%s", counters[i]);
		file = fopen(path, "re");
		if (!file || fscanf(file, "%" SCNd64, &values[i]) != 1)
			values[i] = -1;
		if (file)
			fclose(file);
	}
}

static int listen_unix(const char *root)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/vsock_%d", root, PORT_READY);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 1) < 0)
		die("listen for the agent");
	return fd;
}

static int listen_vsock(void)
{
	struct sockaddr_vm addr = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = PORT_READY };
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 1) < 0)
		die("listen for the agent (vhost_vsock loaded?)");
	return fd;
}

static _Noreturn void exec_cella(char **argv, const char *root)
{
	char kernel[512], initrd[512], memory[32], cmdline[1024], root_option[256], share[64], snapshot[64];
	bool save = !strcmp(argv[1], "save"), restore = !save && !strcmp(argv[2], "template");
	int dir = open(root, O_PATH | O_DIRECTORY), file = save ? open(SNAPSHOT, O_RDWR | O_CREAT | O_TRUNC, 0600) : open(SNAPSHOT, O_RDONLY);

	if ((save || restore) && file < 0)
		die(SNAPSHOT);
	snprintf(kernel, sizeof(kernel), "--kernel=%s", argv[3]);
	snprintf(initrd, sizeof(initrd), "--initrd=%s", argv[4]);
	snprintf(memory, sizeof(memory), "--memory=%s", argv[5]);
	snprintf(cmdline, sizeof(cmdline), "--cmdline=%s", argv[6]);
	snprintf(root_option, sizeof(root_option), "--root=%s", root);
	snprintf(share, sizeof(share), "--share=rootfs=%d", dir);
	snprintf(snapshot, sizeof(snapshot), "--%s-fd=%d", save ? "snapshot" : "restore", file);
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
		die("unshare");
	if (restore)
		execl(VMM, "cella-vmm", snapshot, memory, root_option, "--control=control", "--vsock=vsock", "--fs=cella", share,
		      "--balloon", NULL);
	execl(VMM, "cella-vmm", kernel, initrd, memory, cmdline, root_option, "--control=control", "--vsock=vsock", "--fs=cella",
	      share, "--balloon", save ? snapshot : NULL, NULL);
	die("cella-vmm");
}

/* The VMM ends when it has saved the guest. */
static int save_template(char **argv, const char *root)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		exec_cella(argv, root);
	if (waitpid(pid, &status, 0) != pid || status)
		die("save the guest");
	return 0;
}

static _Noreturn void exec_qemu(char **argv)
{
	char memory[32], vsock[64];

	snprintf(memory, sizeof(memory), "%sM", argv[5]);
	snprintf(vsock, sizeof(vsock), "vhost-vsock-device,guest-cid=%d", QEMU_CID);
	execlp("qemu-system-x86_64", "qemu-system-x86_64", "-M", "microvm,pit=off,pic=off,rtc=off,isa-serial=off,acpi=off",
	       "-enable-kvm", "-cpu", "host", "-m", memory, "-nodefaults", "-no-user-config", "-display", "none", "-kernel",
	       argv[3], "-initrd", argv[4], "-append", argv[6], "-device", vsock, "-device", "virtio-balloon-device", NULL);
	die("qemu-system-x86_64");
}

static int kvm(int fd, unsigned long request, void *arg)
{
	int ret = ioctl(fd, request, arg);

	if (ret < 0)
		die("floor");
	return ret;
}

static int run_floor(void)
{
	int dev = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm = kvm(dev, KVM_CREATE_VM, NULL), vcpu;
	uint8_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct kvm_userspace_memory_region region = { .memory_size = 4096, .userspace_addr = (uintptr_t)page };
	struct kvm_regs regs = { .rflags = 2 };
	struct kvm_sregs sregs;

	kvm(vm, KVM_SET_USER_MEMORY_REGION, &region);
	vcpu = kvm(vm, KVM_CREATE_VCPU, NULL);
	mmap(NULL, (size_t)kvm(dev, KVM_GET_VCPU_MMAP_SIZE, NULL), PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	page[0] = 0xf4; /* hlt */
	kvm(vcpu, KVM_GET_SREGS, &sregs);
	sregs.cs.base = sregs.cs.selector = 0;
	kvm(vcpu, KVM_SET_SREGS, &sregs);
	kvm(vcpu, KVM_SET_REGS, &regs);
	return kvm(vcpu, KVM_RUN, NULL);
}

static void start_trace(bool with_syscalls)
{
	if (mkdir(TRACE, 0700) < 0 && errno != EEXIST)
		die(TRACE);
	write_text(TRACE "/trace", "");
	write_text(TRACE "/trace_clock", "mono");
	write_text(TRACE "/buffer_size_kb", "4096");
	write_text(TRACE "/events/kvm/kvm_entry/enable", "1");
	if (with_syscalls)
		write_text(TRACE "/events/raw_syscalls/sys_enter/enable", "1");
}

static void stop_trace(void)
{
	write_text(TRACE "/events/enable", "0");
}

/* Reads the trace up to the first kvm_entry: its time, and the system calls of process `pid` and its threads before it. */
static void read_trace(pid_t pid, int64_t *ret_first, int64_t *ret_syscalls)
{
	FILE *file = fopen(TRACE "/trace", "re");
	char line[512], name[32];

	snprintf(name, sizeof(name), "-%d ", (int)pid);
	*ret_first = *ret_syscalls = 0;
	while (file && fgets(line, sizeof(line), file)) {
		char *entry = strstr(line, ": kvm_entry:");

		if (entry) {
			char *at = entry;
			long seconds, micros;

			while (at > line && at[-1] != ' ')
				at--;
			if (sscanf(at, "%ld.%ld", &seconds, &micros) == 2)
				*ret_first = seconds * 1000000000LL + micros * 1000LL;
			break;
		}
		if (strstr(line, ": sys_enter:") && strstr(line, name))
			(*ret_syscalls)++;
	}
	if (file)
		fclose(file);
}

/* A call of a method that the agent has not, in ttrpc's framing: length, stream, type and flags, then service and method. */
static void call_agent(int listener)
{
	static const uint8_t request[] = { 0, 0, 0, 6, 0, 0, 0, 1, 1, 0, 0x0a, 1, 'x', 0x12, 1, 'x' };
	struct pollfd wait = { .fd = listener, .events = POLLIN };

	if (poll(&wait, 1, TIMEOUT_MS) != 1)
		die("the agent does not come");
	wait.fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (wait.fd < 0 || write(wait.fd, request, sizeof(request)) != sizeof(request) || poll(&wait, 1, TIMEOUT_MS) != 1)
		die("the agent does not answer");
}

int main(int argc, char **argv)
{
	char root[] = "/tmp/boot-time.XXXXXX";
	int64_t before[COUNTERS], after[COUNTERS], start, ready, first = 0, syscalls = 0;
	bool qemu, floor, trace;
	int listener;
	pid_t pid;

	if (argc == 2 && !strcmp(argv[1], "floor"))
		return run_floor();
	if (argc != 7) {
		fprintf(stderr, "usage: boot_time ready|first|syscalls|save cella|template|qemu KERNEL INITRD MEMORY_MIB CMDLINE\n");
		return 2;
	}
	qemu = !strcmp(argv[2], "qemu");
	floor = !strcmp(argv[2], "floor");
	trace = strcmp(argv[1], "ready") != 0;
	if (!mkdtemp(root))
		die(root);
	if (!strcmp(argv[1], "save"))
		return save_template(argv, root);
	listener = qemu ? listen_vsock() : listen_unix(root);
	if (trace)
		start_trace(!strcmp(argv[1], "syscalls"));
	read_counters(before);
	start = now_ns();
	pid = fork();
	if (pid == 0) {
		if (qemu)
			exec_qemu(argv);
		if (floor) {
			execl("/proc/self/exe", "boot_time", "floor", NULL);
			die("floor");
		}
		exec_cella(argv, root);
	}
	if (floor)
		waitpid(pid, NULL, 0);
	else
		call_agent(listener);
	ready = now_ns() - start;
	read_counters(after);
	if (trace) {
		stop_trace();
		read_trace(pid, &first, &syscalls);
	}
	if (!floor) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	if (!strcmp(argv[1], "syscalls"))
		printf("syscalls=%" PRId64 "\n", syscalls);
	else if (trace)
		printf("first_ns=%" PRId64 "\n", first - start);
	else {
		printf("ready_ns=%" PRId64, ready);
		for (size_t i = 0; i < COUNTERS; i++)
			printf(" %s=%" PRId64, counters[i], after[i] - before[i]);
		printf("\n");
	}
	return 0;
}
