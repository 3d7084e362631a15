/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot_time ready|first|syscalls cella|qemu KERNEL INITRD MEMORY_MIB CMDLINE
 *
 * Starts a VMM with the guest image and prints what it took:
 *   ready     nanoseconds from fork to the agent's connection, and KVM's counters up to then
 *   first     nanoseconds from fork to the first guest instruction (the first kvm_entry)
 *   syscalls  system calls of the VMM up to the first guest instruction
 * Under QEMU's -icount shift=0 a nanosecond of CLOCK_MONOTONIC is an instruction. Runs on a host with tracefs and KVM's
 * debugfs, as root; the cella VMM is /usr/local/lib/cella/cella-vmm, in a mount namespace of its own as it expects.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
	char kernel[512], initrd[512], memory[32], cmdline[1024], root_option[256], share[64];
	int dir = open(root, O_PATH | O_DIRECTORY);

	snprintf(kernel, sizeof(kernel), "--kernel=%s", argv[3]);
	snprintf(initrd, sizeof(initrd), "--initrd=%s", argv[4]);
	snprintf(memory, sizeof(memory), "--memory=%s", argv[5]);
	snprintf(cmdline, sizeof(cmdline), "--cmdline=%s", argv[6]);
	snprintf(root_option, sizeof(root_option), "--root=%s", root);
	snprintf(share, sizeof(share), "--share=rootfs=%d", dir);
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
		die("unshare");
	execl("/usr/local/lib/cella/cella-vmm", "cella-vmm", kernel, initrd, memory, cmdline, root_option, "--control=control",
	      "--vsock=vsock", "--fs=cella", share, "--balloon", NULL);
	die("cella-vmm");
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

int main(int argc, char **argv)
{
	char root[] = "/tmp/boot-time.XXXXXX";
	int64_t before[COUNTERS], after[COUNTERS], start, ready, first = 0, syscalls = 0;
	bool qemu, trace;
	struct pollfd wait;
	pid_t pid;

	if (argc != 7) {
		fprintf(stderr, "usage: boot_time ready|first|syscalls cella|qemu KERNEL INITRD MEMORY_MIB CMDLINE\n");
		return 2;
	}
	qemu = !strcmp(argv[2], "qemu");
	trace = strcmp(argv[1], "ready") != 0;
	if (!mkdtemp(root))
		die(root);
	wait = (struct pollfd){ .fd = qemu ? listen_vsock() : listen_unix(root), .events = POLLIN };
	if (trace)
		start_trace(!strcmp(argv[1], "syscalls"));
	read_counters(before);
	start = now_ns();
	pid = fork();
	if (pid == 0) {
		if (qemu)
			exec_qemu(argv);
		exec_cella(argv, root);
	}
	if (poll(&wait, 1, TIMEOUT_MS) != 1)
		die("the agent does not come");
	ready = now_ns() - start;
	read_counters(after);
	if (trace) {
		stop_trace();
		read_trace(pid, &first, &syscalls);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
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
