/* SPDX-License-Identifier: Apache-2.0 */
/* A hostile driver of the vsock device; on the host's side a listener that the guest may reach, and clients that dial. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/fdpass.h"
#include "tests/fuzz/device.h"
#include "vmm/virtio/vsock.h"

#define CLIENTS 4
#define CID 7

static char directory[] = "/tmp/cella-vsock-fuzz.XXXXXX";
static char path[64];
static int service = -1;
static int clients[CLIENTS] = { -1, -1, -1, -1 };

static void set_up(struct driver *driver)
{
	char service_path[80];
	struct err err;

	device_fuzz_quiet();
	driver_init(driver);
	if (!mkdtemp(directory))
		abort();
	snprintf(path, sizeof(path), "%s/v", directory);
	snprintf(service_path, sizeof(service_path), "%s_1", path);
	service = fdpass_listen(service_path, 16, &err);
	driver->device = vsock_new(driver->mem, driver->loop, CID, fdpass_listen(path, 16, &err), path, &err);
	if (!driver->device)
		abort();
}

/* A connection that somebody else has accepted, with a line before it. */
static int lead_in(struct driver *driver, const char *line)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		abort();
	vsock_connect_guest(driver->device, ends[1], 5, line);
	return ends[0];
}

static void host(struct driver *driver, struct input *input)
{
	static const char *const lines[] = { "CONNECT 5\n", "CONNECT 5\nhello", "CONNECT x\n", "CONN", "" };
	int *client = &clients[input_take(input, 1) % CLIENTS];
	char buf[256];
	struct err err;

	switch (input_take(input, 1) % 6) {
	case 0:
		if (*client >= 0)
			close(*client);
		*client = fdpass_connect(path, &err);
		if (*client >= 0) {
			const char *line = lines[input_take(input, 1) % ARRAY_SIZE(lines)];

			(void)!send(*client, line, strlen(line), MSG_DONTWAIT | MSG_NOSIGNAL);
		}
		break;
	case 1:
		if (*client >= 0)
			(void)!send(*client, buf, input_take(input, 1), MSG_DONTWAIT | MSG_NOSIGNAL);
		break;
	case 2:
		if (*client >= 0)
			(void)!recv(*client, buf, sizeof(buf), MSG_DONTWAIT);
		break;
	case 3:
		if (*client >= 0)
			close(*client);
		/* What the guest has opened: taken, read a little. */
		*client = accept4(service, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		break;
	case 4:
		if (*client >= 0)
			shutdown(*client, (int)input_take(input, 1) % 3);
		break;
	case 5:
		if (*client >= 0)
			close(*client);
		*client = lead_in(driver, lines[input_take(input, 1) % (ARRAY_SIZE(lines) - 1)]);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct driver driver;

	if (!driver.device) {
		set_up(&driver);
		if (fcntl(service, F_SETFL, O_NONBLOCK) < 0)
			abort();
	}
	device_fuzz(&driver, data, size, NULL, host);
	for (int i = 0; i < CLIENTS; i++) {
		if (clients[i] >= 0)
			close(clients[i]);
		clients[i] = -1;
	}
	driver_step(&driver);
	return 0;
}
