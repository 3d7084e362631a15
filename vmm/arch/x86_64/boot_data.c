/* SPDX-License-Identifier: Apache-2.0 */
/* What a 64-bit Linux kernel finds in memory: Documentation/arch/x86/boot.rst, "64-bit Boot Protocol". */
#include <asm/bootparam.h>
#include <errno.h>
#include <string.h>

#include "device_tree.h"
#include "vmm/arch/arch.h"

#define BOOT_FLAG 0xaa55
#define HEADER_MAGIC 0x53726448 /* "HdrS" */
#define BOOT_VERSION 0x20f	/* setup_data needs 2.09 or newer */
#define LOADER_UNDEFINED 0xff
#define KERNEL_ALIGNMENT 0x1000000
#define PAGE_PRESENT_WRITE 0x3ULL
#define PAGE_HUGE 0x80ULL
#define PAGES_PER_TABLE 512

/* The first GiB one to one, in 2 MiB pages: what the entry code needs until it has tables of its own. */
static void write_page_tables(const struct memory *mem)
{
	uint64_t *pml4 = memory_at(mem, X86_PML4, 4096);
	uint64_t *pdpt = memory_at(mem, X86_PDPT, 4096);
	uint64_t *pd = memory_at(mem, X86_PD, 4096);

	pml4[0] = X86_PDPT | PAGE_PRESENT_WRITE;
	pdpt[0] = X86_PD | PAGE_PRESENT_WRITE;
	for (uint64_t i = 0; i < PAGES_PER_TABLE; i++)
		pd[i] = i << 21 | PAGE_PRESENT_WRITE | PAGE_HUGE;
}

static void write_gdt(const struct memory *mem)
{
	uint64_t *gdt = memory_at(mem, X86_GDT, 4 * sizeof(uint64_t));

	gdt[0] = 0;
	gdt[1] = 0;
	gdt[2] = 0x00af9b000000ffffULL; /* __BOOT_CS 0x10: 64-bit code */
	gdt[3] = 0x00cf93000000ffffULL; /* __BOOT_DS 0x18: data */
}

static int write_setup_data(const struct memory *mem, const struct arch_machine *machine, struct err *err)
{
	struct setup_data *data = memory_at(mem, X86_SETUP_DATA, X86_SETUP_DATA_MAX);
	size_t room = X86_SETUP_DATA_MAX - sizeof(*data);
	const uint8_t *size_field;
	int ret = device_tree_write(data->data, room, machine, err);

	if (ret < 0)
		return ret;
	/* Device tree specification 5.2: totalsize is the second big-endian word. */
	size_field = data->data + 4;
	data->next = 0;
	data->type = SETUP_DTB;
	data->len = (uint32_t)size_field[0] << 24 | (uint32_t)size_field[1] << 16 | (uint32_t)size_field[2] << 8 |
		    size_field[3];
	return 0;
}

static void add_e820(struct boot_params *params, uint64_t addr, uint64_t size)
{
	params->e820_table[params->e820_entries++] = (struct boot_e820_entry){
		.addr = addr,
		.size = size,
		.type = 1, /* usable RAM */
	};
}

int arch_write_boot_data(const struct memory *mem, const struct boot *boot, const struct arch_machine *machine,
			 struct err *err)
{
	struct boot_params *params = memory_at(mem, X86_ZERO_PAGE, sizeof(*params));
	size_t length = strlen(boot->cmdline);
	char *cmdline = memory_at(mem, X86_CMDLINE, BOOT_CMDLINE_MAX);

	if (!params || !cmdline || !memory_at(mem, X86_SETUP_DATA, X86_SETUP_DATA_MAX))
		return err_set(err, ENOMEM, "guest memory is too small for the boot data");
	if (length >= BOOT_CMDLINE_MAX)
		return err_set(err, E2BIG, "kernel command line of %zu bytes (at most %d)", length, BOOT_CMDLINE_MAX - 1);
	memcpy(cmdline, boot->cmdline, length + 1);
	memset(params, 0, sizeof(*params));
	params->hdr.boot_flag = BOOT_FLAG;
	params->hdr.header = HEADER_MAGIC;
	params->hdr.version = BOOT_VERSION;
	params->hdr.type_of_loader = LOADER_UNDEFINED;
	params->hdr.loadflags = LOADED_HIGH;
	params->hdr.kernel_alignment = KERNEL_ALIGNMENT;
	params->hdr.cmd_line_ptr = X86_CMDLINE;
	params->hdr.cmdline_size = (uint32_t)length;
	params->hdr.ramdisk_image = (uint32_t)boot->initrd; /* below 3 GiB */
	params->hdr.ramdisk_size = (uint32_t)boot->initrd_size;
	params->hdr.setup_data = X86_SETUP_DATA;
	add_e820(params, 0, X86_LOW_RAM_END);
	add_e820(params, ARCH_KERNEL_MIN, mem->regions[0].size - ARCH_KERNEL_MIN);
	if (mem->nregions > 1)
		add_e820(params, mem->regions[1].gpa, mem->regions[1].size);
	write_page_tables(mem);
	write_gdt(mem);
	return write_setup_data(mem, machine, err);
}
