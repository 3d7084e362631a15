/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compact IN OUT: an ELF kernel with its program headers and what they load, and nothing else. Runs of filler of 64 KiB
 * or more (the linker pads text to 2 MiB boundaries, with int3 or zeros) are left out: the loader has less to copy and
 * the guest less to hold. What was int3 there reads as zeros then. The jump table is sorted, which Linux would do at
 * every boot (patches/sorted-jump-table.patch). Runs at build time on a file that we have just made.
 */
#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096
#define RUN_MIN (64 << 10)
#define SEGMENTS_MAX 32

struct image {
	uint8_t *bytes;
	size_t size;
	Elf64_Phdr segments[SEGMENTS_MAX];
	unsigned int nsegments;
	uint64_t sources[SEGMENTS_MAX]; /* where the segment's bytes are in the input */
};

static _Noreturn void die(const char *why)
{
	fprintf(stderr, "compact: %s\n", why);
	exit(1);
}

static bool is_filler(const uint8_t *bytes, size_t len)
{
	return (bytes[0] == 0 || bytes[0] == 0xcc) && !memcmp(bytes, bytes + 1, len - 1);
}

static void add_segment(struct image *image, const Elf64_Phdr *of, uint64_t start, uint64_t filesz, uint64_t memsz)
{
	if (image->nsegments == SEGMENTS_MAX)
		die("too many segments");
	image->sources[image->nsegments] = of->p_offset + start;
	image->segments[image->nsegments++] = (Elf64_Phdr){
		.p_type = of->p_type,
		.p_flags = of->p_flags,
		.p_vaddr = of->p_vaddr + start,
		.p_paddr = of->p_paddr + start,
		.p_filesz = filesz,
		.p_memsz = memsz,
		.p_align = of->p_type == PT_NOTE ? of->p_align : PAGE,
	};
}

/* Cuts a segment at its runs of filler; what follows the file's part (bss) stays with the last piece. */
static void split(struct image *image, const Elf64_Phdr *segment)
{
	const uint8_t *bytes = image->bytes + segment->p_offset;
	uint64_t start = 0, at = 0;

	while (at + PAGE <= segment->p_filesz) {
		uint64_t end = at;

		while (end + PAGE <= segment->p_filesz && is_filler(bytes + end, PAGE) && bytes[end] == bytes[at])
			end += PAGE;
		if (end - at >= RUN_MIN) {
			if (at > start)
				add_segment(image, segment, start, at - start, at - start);
			start = end;
		}
		at = end > at ? end : at + PAGE;
	}
	if (segment->p_memsz > start)
		add_segment(image, segment, start, segment->p_filesz - start, segment->p_memsz - start);
}

/* Linux' struct jump_entry (include/linux/jump_label.h, CONFIG_HAVE_ARCH_JUMP_LABEL_RELATIVE): each field is relative to itself. */
struct jump_entry {
	int32_t code;
	int32_t target;
	int64_t key; /* its two lowest bits are flags */
};

/* The same with addresses. */
struct jump {
	uint64_t code, target, key;
};

static int compare_jumps(const void *left, const void *right)
{
	const struct jump *a = left, *b = right;
	uint64_t a_key = a->key & ~3UL, b_key = b->key & ~3UL;

	if (a_key != b_key)
		return a_key < b_key ? -1 : 1;
	return a->code < b->code ? -1 : a->code > b->code;
}

static void sort_jumps(struct jump_entry *entries, size_t n, uint64_t address)
{
	struct jump *jumps = calloc(n + 1, sizeof(*jumps));

	if (!jumps)
		die("no memory");
	for (size_t i = 0; i < n; i++) {
		uint64_t at = address + i * sizeof(*entries);

		jumps[i].code = at + (uint64_t)entries[i].code;
		jumps[i].target = at + offsetof(struct jump_entry, target) + (uint64_t)entries[i].target;
		jumps[i].key = at + offsetof(struct jump_entry, key) + (uint64_t)entries[i].key;
	}
	qsort(jumps, n, sizeof(*jumps), compare_jumps);
	for (size_t i = 0; i < n; i++) {
		uint64_t at = address + i * sizeof(*entries);

		entries[i].code = (int32_t)(jumps[i].code - at);
		entries[i].target = (int32_t)(jumps[i].target - at - offsetof(struct jump_entry, target));
		entries[i].key = (int64_t)(jumps[i].key - at - offsetof(struct jump_entry, key));
	}
	free(jumps);
}

/* What of the file is loaded to len bytes at address; null if nothing is. */
static void *loaded_at(const struct image *image, uint64_t address, uint64_t len)
{
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)image->bytes;
	const Elf64_Phdr *segments = (const Elf64_Phdr *)(image->bytes + header->e_phoff);

	for (unsigned int i = 0; i < header->e_phnum; i++)
		if (segments[i].p_type == PT_LOAD && address >= segments[i].p_vaddr &&
		    address - segments[i].p_vaddr <= segments[i].p_filesz &&
		    len <= segments[i].p_filesz - (address - segments[i].p_vaddr))
			return image->bytes + segments[i].p_offset + (address - segments[i].p_vaddr);
	return NULL;
}

/* The address of a symbol; 0 if there is none. */
static uint64_t symbol(const struct image *image, const char *name)
{
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)image->bytes;
	const Elf64_Shdr *sections = (const Elf64_Shdr *)(image->bytes + header->e_shoff);

	if (header->e_shoff + header->e_shnum * sizeof(*sections) > image->size)
		die("the sections lie outside of the file");
	for (unsigned int i = 0; i < header->e_shnum; i++) {
		const Elf64_Shdr *section = &sections[i], *strings;
		const Elf64_Sym *symbols = (const Elf64_Sym *)(image->bytes + section->sh_offset);

		if (section->sh_type != SHT_SYMTAB || section->sh_link >= header->e_shnum)
			continue;
		strings = &sections[section->sh_link];
		if (section->sh_offset + section->sh_size > image->size || strings->sh_offset + strings->sh_size > image->size)
			die("a section lies outside of the file");
		for (size_t j = 0; j < section->sh_size / sizeof(*symbols); j++)
			if (!strcmp((const char *)image->bytes + strings->sh_offset + symbols[j].st_name, name))
				return symbols[j].st_value;
	}
	return 0;
}

static void sort_jump_table(struct image *image)
{
	uint64_t start = symbol(image, "__start___jump_table"), stop = symbol(image, "__stop___jump_table");
	void *table = stop > start ? loaded_at(image, start, stop - start) : NULL;

	if (!table)
		die("there is no jump table");
	sort_jumps(table, (stop - start) / sizeof(struct jump_entry), start);
}

static void load(struct image *image, const char *path)
{
	FILE *file = fopen(path, "rb");

	if (!file || fseek(file, 0, SEEK_END) < 0)
		die("cannot open the input");
	image->size = (size_t)ftell(file);
	rewind(file);
	image->bytes = malloc(image->size);
	if (!image->bytes || fread(image->bytes, 1, image->size, file) != image->size)
		die("cannot read the input");
	fclose(file);
}

/* Notes lie inside of a loaded segment: they point to where that has gone. */
static void place_notes(struct image *image)
{
	for (unsigned int i = 0; i < image->nsegments; i++)
		for (unsigned int j = 0; image->segments[i].p_type == PT_NOTE && j < image->nsegments; j++) {
			Elf64_Phdr *note = &image->segments[i], *in = &image->segments[j];

			if (in->p_type == PT_LOAD && note->p_paddr >= in->p_paddr && note->p_paddr - in->p_paddr < in->p_filesz)
				note->p_offset = in->p_offset + (note->p_paddr - in->p_paddr);
		}
}

static void save(struct image *image, const char *path)
{
	Elf64_Ehdr header;
	uint64_t offset = PAGE;
	FILE *file = fopen(path, "wb");

	memcpy(&header, image->bytes, sizeof(header));
	header.e_phoff = sizeof(header);
	header.e_phnum = (uint16_t)image->nsegments;
	header.e_shoff = 0;
	header.e_shnum = header.e_shstrndx = 0;
	for (unsigned int i = 0; i < image->nsegments; i++)
		if (image->segments[i].p_type == PT_LOAD) {
			image->segments[i].p_offset = offset;
			offset += (image->segments[i].p_filesz + PAGE - 1) / PAGE * PAGE;
		}
	place_notes(image);
	if (!file || fwrite(&header, sizeof(header), 1, file) != 1 ||
	    fwrite(image->segments, sizeof(Elf64_Phdr), image->nsegments, file) != image->nsegments)
		die("cannot write the output");
	for (unsigned int i = 0; i < image->nsegments; i++) {
		const Elf64_Phdr *segment = &image->segments[i];

		if (segment->p_type != PT_LOAD || segment->p_filesz == 0)
			continue;
		if (fseek(file, (long)segment->p_offset, SEEK_SET) < 0 ||
		    fwrite(image->bytes + image->sources[i], 1, segment->p_filesz, file) != segment->p_filesz)
			die("cannot write the output");
	}
	if (fclose(file) != 0)
		die("cannot write the output");
}

int main(int argc, char **argv)
{
	static struct image image;
	const Elf64_Phdr *segments;
	Elf64_Ehdr header;

	if (argc != 3)
		die("usage: compact IN OUT");
	load(&image, argv[1]);
	if (image.size < sizeof(header))
		die("not an ELF file");
	memcpy(&header, image.bytes, sizeof(header));
	if (memcmp(header.e_ident, ELFMAG, SELFMAG) || header.e_phoff + header.e_phnum * sizeof(*segments) > image.size)
		die("not an ELF file");
	segments = (const Elf64_Phdr *)(image.bytes + header.e_phoff);
	for (unsigned int i = 0; i < header.e_phnum; i++)
		if (segments[i].p_offset + segments[i].p_filesz > image.size)
			die("a segment lies outside of the file");
	sort_jump_table(&image);
	for (unsigned int i = 0; i < header.e_phnum; i++) {
		if (segments[i].p_type == PT_LOAD)
			split(&image, &segments[i]);
		else if (segments[i].p_type == PT_NOTE)
			add_segment(&image, &segments[i], 0, segments[i].p_filesz, segments[i].p_memsz);
	}
	save(&image, argv[2]);
	return 0;
}
