/* SPDX-License-Identifier: Apache-2.0 */
/* A hostile driver of the entropy device. */
#include "tests/fuzz/device.h"
#include "vmm/virtio/rng.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct driver driver;
	struct err err;

	if (!driver.device) {
		device_fuzz_quiet();
		driver_init(&driver);
		driver.device = rng_new(driver.mem, &err);
		if (!driver.device)
			abort();
	}
	device_fuzz(&driver, data, size, NULL, NULL);
	return 0;
}
