/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_rate cella|qemu KERNEL INITRD MIB
 *
 * Starts two VMs on the taps bench-tap1 and bench-tap2, whose bridge has 10.91.0.254; one sends the other MIB by TCP
 * (tests/bench/net_guest.c is their init). Prints "kib_per_s=N", which the receiver measured. Both VMMs serve their
 * device themselves, with the same offloads; each VM has one vCPU and 128 MiB.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIMEOUT_MS 300000
#define CMDLINE "panic=-1 reboot=t,k quiet i8042.noaux i8042.nokbd net_guest=%s"

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "net_rate: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_tap(const char *name)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR), header = sizeof(struct virtio_net_hdr_v1);

	strncpy(request.ifr_name, name, IFNAMSIZ - 1);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0 || ioctl(fd, TUNSETVNETHDRSZ, &header) < 0)
		die(name);
	return fd;
}

static _Noreturn void exec_cella(char **argv, int number, const char *cmdline)
{
	char kernel[512], initrd[512], cmdline_option[1024], root[] = "/tmp/net-rate.XXXXXX", root_option[64], net[64], tap[16];

	snprintf(tap, sizeof(tap), "bench-tap%d", number);
	snprintf(kernel, sizeof(kernel), "--kernel=%s", argv[2]);
	snprintf(initrd, sizeof(initrd), "--initrd=%s", argv[3]);
	snprintf(cmdline_option, sizeof(cmdline_option), "--cmdline=%s", cmdline);
	snprintf(net, sizeof(net), "--net=52:54:00:91:00:0%d=%d", number, open_tap(tap));
	if (!mkdtemp(root))
		die(root);
	snprintf(root_option, sizeof(root_option), "--root=%s", root);
	if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
		die("unshare");
	execl("/usr/local/lib/cella/cella-vmm", "cella-vmm", kernel, initrd, "--memory=128", cmdline_option, root_option, net, NULL);
	die("cella-vmm");
}

static _Noreturn void exec_qemu(char **argv, int number, const char *cmdline)
{
	char netdev[128], device[128];

	snprintf(netdev, sizeof(netdev), "tap,id=net,ifname=bench-tap%d,script=no,downscript=no,vnet_hdr=on,vhost=off", number);
	snprintf(device, sizeof(device), "virtio-net-device,netdev=net,mac=52:54:00:91:00:0%d", number);
	execlp("qemu-system-x86_64", "qemu-system-x86_64", "-M", "microvm,pit=off,pic=off,rtc=off,isa-serial=off,acpi=off",
	       "-enable-kvm", "-cpu", "host", "-m", "128M", "-nodefaults", "-no-user-config", "-display", "none", "-kernel",
	       argv[2], "-initrd", argv[3], "-append", cmdline, "-netdev", netdev, "-device", device, NULL);
	die("qemu-system-x86_64");
}

static pid_t start_vm(char **argv, int number, const char *role)
{
	pid_t pid = fork();
	char cmdline[512];

	if (pid != 0)
		return pid;
	snprintf(cmdline, sizeof(cmdline), CMDLINE, role);
	if (!strcmp(argv[1], "qemu"))
		exec_qemu(argv, number, cmdline);
	exec_cella(argv, number, cmdline);
}

/* Ends a VM; returns what it had done until then. */
static const char *end_vm(pid_t pid)
{
	bool ran = waitpid(pid, NULL, WNOHANG) == 0;

	if (!ran)
		return "had ended";
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return "ran";
}

static int listen_for_result(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(9999) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		die("listen for the result");
	return fd;
}

int main(int argc, char **argv)
{
	long long bytes = 0, ns = 0;
	const char *server_fate, *client_fate;
	char role[64], line[128];
	struct pollfd wait;
	pid_t server, client;
	ssize_t n;

	if (argc != 5) {
		fprintf(stderr, "usage: net_rate cella|qemu KERNEL INITRD MIB\n");
		return 2;
	}
	wait = (struct pollfd){ .fd = listen_for_result(), .events = POLLIN };
	snprintf(role, sizeof(role), "client:%s", argv[4]);
	server = start_vm(argv, 1, "server");
	client = start_vm(argv, 2, role);
	n = poll(&wait, 1, TIMEOUT_MS) == 1 ? recv(wait.fd, line, sizeof(line) - 1, 0) : -1;
	server_fate = end_vm(server);
	client_fate = end_vm(client);
	line[n > 0 ? n : 0] = '\0';
	if (sscanf(line, "%lld %lld", &bytes, &ns) != 2 || ns <= 0 || bytes != atoll(argv[4]) << 20) {
		fprintf(stderr, "net_rate: no result from the guests of %s: '%s'; server %s, client %s\n", argv[1], line,
			server_fate, client_fate);
		return 1;
	}
	printf("kib_per_s=%lld\n", bytes * 1000000 / 1024 * 1000 / ns);
	return 0;
}
