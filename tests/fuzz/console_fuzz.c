/* SPDX-License-Identifier: Apache-2.0 */
/* A hostile driver of the console; on the host's side somebody attaches, types and leaves. */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/fdpass.h"
#include "tests/fuzz/device.h"
#include "vmm/virtio/console.h"

static char directory[] = "/tmp/cella-console-fuzz.XXXXXX";
static char path[64];
static int client = -1;

static void set_up(struct driver *driver)
{
	static struct serial serial;
	struct err err;

	device_fuzz_quiet();
	driver_init(driver);
	serial_init(&serial);
	if (!mkdtemp(directory))
		abort();
	snprintf(path, sizeof(path), "%s/c", directory);
	driver->device = console_new(driver->mem, driver->loop, &serial, fdpass_listen(path, 4, &err), &err);
	if (!driver->device)
		abort();
}

static void host(struct driver *driver, struct input *input)
{
	char buf[256];
	struct err err;

	(void)driver;
	switch (input_take(input, 1) % 3) {
	case 0:
		if (client >= 0)
			close(client);
		client = fdpass_connect(path, &err);
		break;
	case 1:
		if (client >= 0)
			(void)!send(client, buf, input_take(input, 1), MSG_DONTWAIT | MSG_NOSIGNAL);
		break;
	case 2:
		if (client >= 0)
			close(client);
		client = -1;
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct driver driver;

	if (!driver.device)
		set_up(&driver);
	device_fuzz(&driver, data, size, NULL, host);
	if (client >= 0)
		close(client);
	client = -1;
	driver_step(&driver);
	return 0;
}
