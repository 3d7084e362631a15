/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/boot.h"

#include <elf.h>
#include <sys/mman.h>

#include "tests/unit/test.h"

static struct {
	Elf64_Ehdr header;
	Elf64_Phdr segment;
	char code[64];
} kernel;

static void make_kernel(void)
{
	memset(&kernel, 0, sizeof(kernel));
	memcpy(kernel.header.e_ident, ELFMAG, SELFMAG);
	kernel.header.e_ident[EI_CLASS] = ELFCLASS64;
	kernel.header.e_ident[EI_DATA] = ELFDATA2LSB;
	kernel.header.e_type = ET_EXEC;
	kernel.header.e_machine = EM_X86_64;
	kernel.header.e_entry = 0x1000000;
	kernel.header.e_phoff = sizeof(kernel.header);
	kernel.header.e_phentsize = sizeof(Elf64_Phdr);
	kernel.header.e_phnum = 1;
	kernel.segment = (Elf64_Phdr){
		.p_type = PT_LOAD,
		.p_offset = sizeof(kernel.header) + sizeof(kernel.segment),
		.p_paddr = 0x1000000,
		.p_filesz = sizeof(kernel.code),
		.p_memsz = 4096,
	};
	strcpy(kernel.code, "kernel");
}

static int load(size_t len, struct memory **ret_mem)
{
	struct boot boot = { 0 };
	struct err err;
	int fd = memfd_create("kernel", 0), ret;

	*ret_mem = memory_new(32 << 20, 0, &err);
	assert_int_equal(write(fd, &kernel, len), (ssize_t)len);
	ret = boot_load_kernel(&boot, *ret_mem, fd, &err);
	close(fd);
	return ret;
}

static void test_a_kernel_is_loaded_where_it_wants_to_be(void **state)
{
	struct memory *mem;

	(void)state;
	make_kernel();
	assert_int_equal(load(sizeof(kernel), &mem), 0);
	assert_string_equal(memory_at(mem, 0x1000000, 7), "kernel");
	memory_free(mem);
}

static void test_files_that_are_no_kernel_are_refused(void **state)
{
	size_t cases = 0;

	(void)state;
#define REFUSED(change, len)                                  \
	do {                                                  \
		struct memory *mem_;                          \
		make_kernel();                                \
		change;                                       \
		assert_true(load(len, &mem_) < 0);            \
		memory_free(mem_);                            \
		cases++;                                      \
	} while (0)
	REFUSED((void)0, 0);
	REFUSED((void)0, 63);
	REFUSED((void)0, sizeof(kernel) - 1);
	REFUSED(kernel.header.e_ident[0] = 0, sizeof(kernel));
	REFUSED(kernel.header.e_ident[EI_CLASS] = ELFCLASS32, sizeof(kernel));
	REFUSED(kernel.header.e_type = ET_DYN, sizeof(kernel));
	REFUSED(kernel.header.e_machine = EM_AARCH64, sizeof(kernel));
	REFUSED(kernel.header.e_phnum = 0, sizeof(kernel));
	REFUSED(kernel.header.e_phnum = 0xffff, sizeof(kernel));
	REFUSED(kernel.header.e_phentsize = 1, sizeof(kernel));
	REFUSED(kernel.header.e_phoff = UINT64_MAX, sizeof(kernel));
	REFUSED(kernel.header.e_entry = 0, sizeof(kernel));
	REFUSED(kernel.header.e_entry = 0x1001000, sizeof(kernel));
	REFUSED(kernel.segment.p_paddr = 0, sizeof(kernel));
	REFUSED(kernel.segment.p_paddr = 32 << 20, sizeof(kernel));
	REFUSED(kernel.segment.p_paddr = UINT64_MAX, sizeof(kernel));
	REFUSED(kernel.segment.p_memsz = UINT64_MAX, sizeof(kernel));
	REFUSED(kernel.segment.p_filesz = 8192, sizeof(kernel));
	REFUSED(kernel.segment.p_offset = UINT64_MAX, sizeof(kernel));
	REFUSED(kernel.segment.p_offset = INT64_MAX, sizeof(kernel));
	assert_int_equal(cases, 20);
}

TESTS(cmocka_unit_test(test_a_kernel_is_loaded_where_it_wants_to_be),
      cmocka_unit_test(test_files_that_are_no_kernel_are_refused))
