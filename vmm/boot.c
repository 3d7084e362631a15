/* SPDX-License-Identifier: Apache-2.0 */
/* ELF kernel and initramfs loading. */
#include "vmm/boot.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "vmm/arch/arch.h"

#define PROGRAM_HEADERS_MAX 32
#define PAGE 4096ULL

/* -ENOEXEC: the file is shorter than its headers say. */
static int read_at(int fd, void *buf, size_t len, uint64_t offset)
{
	int ret = io_pread_all(fd, buf, len, offset);

	return ret == -EPIPE ? -ENOEXEC : ret;
}

static int check_header(const Elf64_Ehdr *header)
{
	if (memcmp(header->e_ident, ELFMAG, SELFMAG) || header->e_ident[EI_CLASS] != ELFCLASS64 ||
	    header->e_ident[EI_DATA] != ELFDATA2LSB || header->e_type != ET_EXEC || header->e_machine != ARCH_ELF_MACHINE)
		return -ENOEXEC;
	if (header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phnum == 0 || header->e_phnum > PROGRAM_HEADERS_MAX)
		return -ENOEXEC;
	return 0;
}

static int check_segment(struct boot *boot, const struct memory *mem, uint64_t file_size, const Elf64_Phdr *segment,
			 struct err *err)
{
	if (segment->p_memsz == 0)
		return 0;
	if (segment->p_filesz > segment->p_memsz || segment->p_offset > file_size ||
	    segment->p_filesz > file_size - segment->p_offset || segment->p_paddr < ARCH_KERNEL_MIN)
		return err_set(err, ENOEXEC, "program header at %#llx", (unsigned long long)segment->p_paddr);
	if (!memory_at(mem, segment->p_paddr, segment->p_memsz))
		return err_msg(err, ENOMEM, "a kernel segment of %llu KiB at %#llx does not fit into %llu MiB of memory",
			       (unsigned long long)segment->p_memsz >> 10, (unsigned long long)segment->p_paddr,
			       (unsigned long long)mem->size >> 20);
	if (segment->p_paddr + segment->p_memsz > boot->kernel_end)
		boot->kernel_end = segment->p_paddr + segment->p_memsz;
	if (!(segment->p_flags & PF_W) && !boot->read_only_size) {
		boot->read_only = segment->p_paddr;
		boot->read_only_size = segment->p_memsz;
	}
	return 0;
}

static int load_segment(const struct memory *mem, int fd, const Elf64_Phdr *segment, struct err *err)
{
	int ret = 0;

	/* Fresh anonymous memory is zero: what lies between p_filesz and p_memsz needs no work. */
	if (segment->p_memsz > 0)
		ret = read_at(fd, memory_at(mem, segment->p_paddr, segment->p_memsz), segment->p_filesz, segment->p_offset);
	return ret < 0 ? err_set(err, -ret, "read the kernel") : 0;
}

int boot_load_kernel(struct boot *boot, const struct memory *mem, int fd, struct err *err)
{
	Elf64_Phdr segments[PROGRAM_HEADERS_MAX];
	Elf64_Ehdr header;
	struct stat st;
	int ret = fstat(fd, &st) < 0 ? -errno : read_at(fd, &header, sizeof(header), 0);

	if (ret == 0)
		ret = check_header(&header);
	if (ret == 0 && header.e_phoff > INT64_MAX)
		ret = -ENOEXEC;
	if (ret == 0)
		ret = read_at(fd, segments, header.e_phnum * sizeof(segments[0]), header.e_phoff);
	if (ret < 0)
		return err_set(err, -ret, "the kernel is not an ELF64 executable for %s", ARCH_NAME);
	boot->kernel_end = boot->read_only = boot->read_only_size = 0;
	for (unsigned int i = 0; i < header.e_phnum && ret == 0; i++)
		if (segments[i].p_type == PT_LOAD)
			ret = check_segment(boot, mem, (uint64_t)st.st_size, &segments[i], err);
	for (unsigned int i = 0; i < header.e_phnum && ret == 0; i++)
		if (segments[i].p_type == PT_LOAD)
			ret = load_segment(mem, fd, &segments[i], err);
	if (ret < 0)
		return ret;
	if (!memory_at(mem, header.e_entry, 1) || header.e_entry >= boot->kernel_end || header.e_entry < ARCH_KERNEL_MIN)
		return err_set(err, ENOEXEC, "the kernel's entry point %#llx lies outside of it",
			       (unsigned long long)header.e_entry);
	boot->entry = header.e_entry;
	return 0;
}

int boot_load_initrd(struct boot *boot, const struct memory *mem, int fd, struct err *err)
{
	const struct memory_region *low = &mem->regions[0];
	struct stat st;
	uint64_t size;
	gpa_t at;
	int ret;

	if (fstat(fd, &st) < 0)
		return err_set(err, errno, "stat the initramfs");
	size = (uint64_t)st.st_size;
	if (!S_ISREG(st.st_mode) || size == 0)
		return err_set(err, EINVAL, "the initramfs is empty or not a file");
	if (size > low->size || boot->kernel_end + PAGE > low->size - size)
		return err_msg(err, ENOMEM, "an initramfs of %llu KiB does not fit beside the kernel into %llu MiB of memory",
			       (unsigned long long)size >> 10, (unsigned long long)mem->size >> 20);
	at = (low->size - size) & ~(PAGE - 1);
	ret = read_at(fd, memory_at(mem, at, size), size, 0);
	if (ret < 0)
		return err_set(err, -ret, "read the initramfs");
	boot->initrd = at;
	boot->initrd_size = size;
	return 0;
}
