/* SPDX-License-Identifier: Apache-2.0 */
/* The input is a kernel image. */
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/boot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct memory *mem;
	struct boot boot = { 0 };
	struct err err;
	int fd = memfd_create("kernel", 0);

	if (!mem)
		mem = memory_new(32 << 20, 0, &err);
	if (fd >= 0 && write(fd, data, size) == (ssize_t)size)
		(void)!boot_load_kernel(&boot, mem, fd, &err);
	close(fd);
	return 0;
}
