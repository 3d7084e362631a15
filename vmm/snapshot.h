/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A saved VM: one file with what KVM and the devices know, and behind it the guest's memory, without what is zero. The file
 * is written and read by the same program on the same boot of the same machine (the runtime sees to that,
 * runtime/template.h), so its form is that of the structures; the version is for a program that was built from other
 * sources.
 *
 * A restored VM maps the kernel's text and constants privately: all VMs of a snapshot share them, page by page until one
 * writes to it. Of everything else it has a copy, in huge pages: mapped, each 4 KiB of it would cost a nested page fault
 * and then be copied all the same.
 */
#ifndef VMM_SNAPSHOT_H
#define VMM_SNAPSHOT_H

#include <stdint.h>

#include "lib/err.h"
#include "vmm/arch/arch.h"
#include "vmm/config.h"
#include "vmm/devices.h"
#include "vmm/memory.h"
#include "vmm/virtio/device_state.h"

#define SNAPSHOT_EXTENTS_MAX 2048

/* Bytes of memory that are not all zero; offsets are those in struct memory's mapping. */
struct snapshot_extent {
	uint64_t offset, size;
	uint64_t shared; /* 1: is mapped, 0: is copied */
};

struct snapshot {
	uint64_t magic; /* written last: a file without it is not complete */
	uint32_t version;
	uint32_t size; /* of this structure, with one vCPU */
	uint64_t memory_size;
	uint32_t nvcpus;
	uint32_t nwindows;
	uint32_t nextents;
	struct snapshot_extent extents[SNAPSHOT_EXTENTS_MAX]; /* in the file from SNAPSHOT_MEMORY on, shared ones at huge pages */
	struct arch_machine_state machine;
	struct virtio_device_state devices[DEVICES_MAX];
	struct arch_vcpu_state vcpus[]; /* nvcpus of them */
};

/* Where memory begins in the file. */
#define SNAPSHOT_MEMORY ((sizeof(struct snapshot) + CONFIG_VCPUS_MAX * sizeof(struct arch_vcpu_state) + 4095) / 4096 * 4096)

/* A snapshot for a VM with this memory and these vCPUs, to be filled; the caller frees it. */
struct snapshot *snapshot_new(const struct memory *mem, uint32_t nvcpus, struct err *err);

/* Writes it and the memory into an empty file. shared: the bytes of mem that VMs may share. */
int snapshot_write(struct snapshot *snapshot, const struct memory *mem, const uint8_t *shared, uint64_t shared_size, int fd,
		   struct err *err) must_check;

/*
 * Reads everything but the memory, for a VM with 1 to CONFIG_VCPUS_MAX vCPUs; the caller frees it. EINVAL: it is none, or one
 * of another VMM, or of a VM with more or fewer.
 */
struct snapshot *snapshot_read(int fd, uint32_t nvcpus, struct err *err);

/*
 * Fills mem, which nobody has touched and which is as large. What it maps has to stay as it is in the file as long as mem
 * lives.
 */
int snapshot_load(const struct snapshot *snapshot, struct memory *mem, int fd, struct err *err) must_check;

#endif
