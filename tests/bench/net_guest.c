/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The init of a guest that does nothing but TCP, for comparing VMMs with one kernel. Its command line says what it is:
 *   net_guest=server        10.91.0.1 on eth0; takes one connection on port 5001, reads to its end, sends the host
 *                           (10.91.0.254, UDP port 9999) "BYTES NANOSECONDS"
 *   net_guest=client:MIB    10.91.0.2 on eth0; connects to the server and writes that much
 * It never ends: whoever started the VMM ends it.
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BUFFER (256 << 10)

static char buffer[BUFFER];

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static struct sockaddr_in address(const char *ip, uint16_t port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(port) };

	inet_pton(AF_INET, ip, &addr.sin_addr);
	return addr;
}

/* Until the device is there: its driver comes up by itself. */
static void set_up_link(const char *ip)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq request = { .ifr_name = "eth0" };
	struct sockaddr_in addr = address(ip, 0), mask = address("255.255.255.0", 0);

	memcpy(&request.ifr_addr, &addr, sizeof(addr));
	while (ioctl(fd, SIOCSIFADDR, &request) < 0)
		usleep(10000);
	memcpy(&request.ifr_netmask, &mask, sizeof(mask));
	ioctl(fd, SIOCSIFNETMASK, &request);
	request.ifr_flags = IFF_UP | IFF_RUNNING;
	ioctl(fd, SIOCSIFFLAGS, &request);
	close(fd);
}

static void serve(void)
{
	struct sockaddr_in here = address("0.0.0.0", 5001), host = address("10.91.0.254", 9999);
	int listener = socket(AF_INET, SOCK_STREAM, 0), report = socket(AF_INET, SOCK_DGRAM, 0), fd;
	int64_t start = 0, bytes = 0;
	char line[64];
	ssize_t n;

	bind(listener, (struct sockaddr *)&here, sizeof(here));
	listen(listener, 1);
	fd = accept(listener, NULL, NULL);
	while ((n = read(fd, buffer, sizeof(buffer))) > 0) {
		if (!start)
			start = now_ns();
		bytes += n;
	}
	snprintf(line, sizeof(line), "%lld %lld\n", (long long)bytes, (long long)(now_ns() - start));
	for (;;) {
		sendto(report, line, strlen(line), 0, (struct sockaddr *)&host, sizeof(host));
		sleep(1);
	}
}

static void send_all(int64_t bytes)
{
	struct sockaddr_in server = address("10.91.0.1", 5001);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	while (connect(fd, (struct sockaddr *)&server, sizeof(server)) < 0) {
		close(fd);
		usleep(100000);
		fd = socket(AF_INET, SOCK_STREAM, 0);
	}
	for (ssize_t n; bytes > 0; bytes -= n) {
		n = write(fd, buffer, bytes < BUFFER ? (size_t)bytes : BUFFER);
		if (n <= 0)
			break;
	}
	close(fd);
	for (;;)
		pause();
}

int main(void)
{
	char line[4096] = "";
	const char *role;
	FILE *file;

	mkdir("/proc", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	file = fopen("/proc/cmdline", "re");
	role = file && fgets(line, sizeof(line), file) ? strstr(line, "net_guest=") : NULL;
	if (role && !strncmp(role, "net_guest=client:", 17)) {
		set_up_link("10.91.0.2");
		send_all(atoll(role + 17) << 20);
	}
	set_up_link("10.91.0.1");
	serve();
}
