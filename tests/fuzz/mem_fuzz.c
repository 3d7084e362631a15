/* SPDX-License-Identifier: Apache-2.0 */
/* A hostile driver of virtio-mem, while the host opens more memory and asks for less. */
#include "tests/fuzz/device.h"
#include "vmm/virtio/mem.h"

static void host(struct driver *driver, struct input *input)
{
	uint64_t open = input_take(input, 1) % 5 * MEMORY_BLOCK, usable = driver->mem->growth.size;

	if (memory_open_growth(driver->mem, open) < 0)
		abort();
	if (open > usable)
		usable = open;
	mem_request(driver->device, (uint64_t)input_take(input, 2) << 16, usable);
	if (mem_plugged(driver->device) > usable)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct driver driver;
	struct err err;

	if (!driver.device) {
		device_fuzz_quiet();
		driver_init(&driver);
		driver.device = mem_new(driver.mem, &err);
		if (!driver.device)
			abort();
	}
	device_fuzz(&driver, data, size, NULL, host);
	return 0;
}
