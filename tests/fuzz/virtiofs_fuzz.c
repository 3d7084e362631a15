/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile driver of the file server's device, with its real workers over an empty directory: rings, chains, resets
 * while requests are served. fs_fuzz looks at the requests themselves.
 */
#include <fcntl.h>
#include <unistd.h>

#include "tests/fuzz/device.h"
#include "vmm/virtio/fs.h"

static void set_up(struct driver *driver)
{
	char directory[] = "/tmp/cella-virtiofs-fuzz.XXXXXX";
	struct fs_server *server;
	struct err err;

	device_fuzz_quiet();
	driver_init(driver);
	if (!mkdtemp(directory))
		abort();
	server = fs_server_new(open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC), &err);
	if (!server || fs_server_add_share(server, "s", open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC), &err) < 0 ||
	    chdir("/proc/self/fd") < 0)
		abort();
	driver->device = fs_new(driver->mem, server, "fuzz", 2, &err);
	if (!driver->device || fs_start(driver->device, NULL, NULL, &err) < 0)
		abort();
}

/* To the worker; the wait is short and need not be enough: a late worker is part of the game. */
static void kick(struct driver *driver, unsigned int queue)
{
	unsigned int before = driver_used(driver, queue);
	uint64_t one = 1;

	if (write(driver->device->kicks[queue], &one, sizeof(one)) != sizeof(one))
		abort();
	for (int i = 0; i < 20 && driver_used(driver, queue) == before; i++)
		usleep(10);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct driver driver;

	if (!driver.device)
		set_up(&driver);
	device_fuzz(&driver, data, size, kick, NULL);
	return 0;
}
