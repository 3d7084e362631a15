/* SPDX-License-Identifier: Apache-2.0 */
/* KVM's ioctls with error texts, and nothing else. Sources: Documentation/virt/kvm/api.rst. */
#ifndef VMM_KVM_H
#define VMM_KVM_H

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "vmm/memory.h"

struct kvm {
	int dev; /* /dev/kvm, owned */
	int vm;	 /* owned */
	size_t run_size; /* bytes of struct kvm_run's mapping */
	uint32_t nslots; /* of memory */
};

/* Opens the VM on an open /dev/kvm, which kvm then owns, and gives it the memory. */
int kvm_open(struct kvm *kvm, int dev, const struct memory *mem, struct err *err) must_check;
void kvm_close(struct kvm *kvm);

/* One more range of memory (api.rst 4.35); the VM may run. */
int kvm_add_memory(struct kvm *kvm, const struct memory_region *region, struct err *err) must_check;

/*
 * A page-aligned range that the guest reads as memory and whose writes are MMIO (api.rst 4.35, KVM_MEM_READONLY). Before
 * the vCPUs run.
 */
int kvm_add_read_only(struct kvm *kvm, gpa_t gpa, void *host, uint64_t size, struct err *err) must_check;

/* A vCPU descriptor, or -errno. Create all vCPUs before the first kvm_add_*: each of those waits for vCPUs otherwise. */
int kvm_create_vcpu(struct kvm *kvm, unsigned int id, struct err *err) must_check;

/* eventfd is signalled, in the kernel, for each 4-byte write of value to gpa. */
int kvm_add_ioeventfd(struct kvm *kvm, int eventfd, gpa_t gpa, uint32_t value, struct err *err) must_check;

/* Writing to eventfd raises an edge on the interrupt line gsi. */
int kvm_add_irqfd(struct kvm *kvm, int eventfd, uint32_t gsi, struct err *err) must_check;

/* Undo these. */
int kvm_remove_ioeventfd(struct kvm *kvm, int eventfd, gpa_t gpa, uint32_t value, struct err *err) must_check;
int kvm_remove_irqfd(struct kvm *kvm, int eventfd, uint32_t gsi, struct err *err) must_check;

/* ioctl with an unsigned command (musl and glibc differ) that retries on EINTR. The result or -errno. */
int kvm_ioctl(int fd, unsigned long request, void *arg) must_check;

#endif
