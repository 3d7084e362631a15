/* SPDX-License-Identifier: Apache-2.0 */
/* A hostile driver of the block device, in turn of a writable and of a read-only one. */
#include <fcntl.h>
#include <unistd.h>

#include "tests/fuzz/device.h"
#include "vmm/virtio/blk.h"
#include "vmm/virtio/disk_ring.h"

#define DISK_BYTES (64 << 10)

static void set_up(struct driver *driver, bool read_only)
{
	char path[] = "/tmp/cella-blk-fuzz.XXXXXX";
	struct disk_ring *ring;
	struct err err;
	int fd = mkstemp(path);

	device_fuzz_quiet();
	driver_init(driver);
	if (fd < 0 || unlink(path) < 0 || ftruncate(fd, DISK_BYTES) < 0)
		abort();
	ring = disk_ring_new(driver->loop, &err);
	if (!ring)
		abort();
	driver->device = blk_new(driver->mem, ring, fd, read_only, "fuzz", &err);
	if (!driver->device)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct driver drivers[2];
	struct driver *driver = &drivers[size > 0 && data[0] & 1];

	if (!driver->device)
		set_up(driver, driver == &drivers[1]);
	device_fuzz(driver, data, size, NULL, NULL);
	return 0;
}
