/* SPDX-License-Identifier: Apache-2.0 */
/* KVM's ioctls with error texts. */
#include "vmm/kvm.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define KVM_API 12
#define TSS_ADDRESS 0xfffbd000ULL

int kvm_ioctl(int fd, unsigned long request, void *arg)
{
	int ret;

	do {
		ret = ioctl(fd, request, arg);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : ret;
}

static int add_slot(struct kvm *kvm, gpa_t gpa, void *host, uint64_t size, uint32_t flags, struct err *err)
{
	struct kvm_userspace_memory_region slot = {
		.slot = kvm->nslots,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)host,
	};
	int ret = kvm_ioctl(kvm->vm, KVM_SET_USER_MEMORY_REGION, &slot);

	if (ret < 0)
		return err_set(err, -ret, "give the VM memory");
	kvm->nslots++;
	return 0;
}

int kvm_add_memory(struct kvm *kvm, const struct memory_region *region, struct err *err)
{
	return add_slot(kvm, region->gpa, region->host, region->size, 0, err);
}

int kvm_add_read_only(struct kvm *kvm, gpa_t gpa, void *host, uint64_t size, struct err *err)
{
	return add_slot(kvm, gpa, host, size, KVM_MEM_READONLY, err);
}

static int add_memory(struct kvm *kvm, const struct memory *mem, struct err *err)
{
	int ret = 0;

	for (size_t i = 0; i < mem->nregions && ret == 0; i++)
		ret = kvm_add_memory(kvm, &mem->regions[i], err);
	return ret;
}

/*
 * api.rst 4.35: three pages outside of guest memory, below 4 GiB; needed by Intel's real mode only, as is the identity map (4.36),
 * which lies right below if nobody says otherwise.
 */
static int reserve_real_mode_pages(struct kvm *kvm, struct err *err)
{
	int ret = kvm_ioctl(kvm->vm, KVM_SET_TSS_ADDR, (void *)TSS_ADDRESS);

	return ret < 0 ? err_set(err, -ret, "reserve KVM's real-mode pages") : 0;
}

int kvm_open(struct kvm *kvm, int dev, const struct memory *mem, struct err *err)
{
	int ret;

	*kvm = (struct kvm){ .dev = dev, .vm = -1 };
	ret = kvm_ioctl(dev, KVM_GET_API_VERSION, NULL);
	if (ret != KVM_API)
		return err_set(err, ret < 0 ? -ret : EPROTO, "/dev/kvm: API version %d is needed", KVM_API);
	ret = kvm_ioctl(dev, KVM_GET_VCPU_MMAP_SIZE, NULL);
	if (ret < (int)sizeof(struct kvm_run))
		return err_set(err, ret < 0 ? -ret : EPROTO, "KVM_GET_VCPU_MMAP_SIZE");
	kvm->run_size = (size_t)ret;
	ret = kvm_ioctl(dev, KVM_CREATE_VM, NULL);
	if (ret < 0)
		return err_set(err, -ret, "create a KVM virtual machine");
	kvm->vm = ret;
	ret = reserve_real_mode_pages(kvm, err);
	if (ret < 0)
		return ret;
	return add_memory(kvm, mem, err);
}

void kvm_close(struct kvm *kvm)
{
	if (kvm->vm >= 0)
		close(kvm->vm);
	if (kvm->dev >= 0)
		close(kvm->dev);
	kvm->vm = kvm->dev = -1;
}

int kvm_create_vcpu(struct kvm *kvm, unsigned int id, struct err *err)
{
	int ret = kvm_ioctl(kvm->vm, KVM_CREATE_VCPU, (void *)(uintptr_t)id);

	return ret < 0 ? err_set(err, -ret, "create vCPU %u", id) : ret;
}

static int set_ioeventfd(struct kvm *kvm, int eventfd, gpa_t gpa, uint32_t value, uint32_t flags)
{
	struct kvm_ioeventfd io = {
		.datamatch = value,
		.addr = gpa,
		.len = 4,
		.fd = eventfd,
		.flags = KVM_IOEVENTFD_FLAG_DATAMATCH | flags,
	};

	return kvm_ioctl(kvm->vm, KVM_IOEVENTFD, &io);
}

int kvm_add_ioeventfd(struct kvm *kvm, int eventfd, gpa_t gpa, uint32_t value, struct err *err)
{
	int ret = set_ioeventfd(kvm, eventfd, gpa, value, 0);

	return ret < 0 ? err_set(err, -ret, "register an ioeventfd") : 0;
}

int kvm_remove_ioeventfd(struct kvm *kvm, int eventfd, gpa_t gpa, uint32_t value, struct err *err)
{
	int ret = set_ioeventfd(kvm, eventfd, gpa, value, KVM_IOEVENTFD_FLAG_DEASSIGN);

	return ret < 0 ? err_set(err, -ret, "remove an ioeventfd") : 0;
}

static int set_irqfd(struct kvm *kvm, int eventfd, uint32_t gsi, uint32_t flags)
{
	struct kvm_irqfd irq = { .fd = (uint32_t)eventfd, .gsi = gsi, .flags = flags };

	return kvm_ioctl(kvm->vm, KVM_IRQFD, &irq);
}

int kvm_add_irqfd(struct kvm *kvm, int eventfd, uint32_t gsi, struct err *err)
{
	int ret = set_irqfd(kvm, eventfd, gsi, 0);

	return ret < 0 ? err_set(err, -ret, "register an irqfd") : 0;
}

int kvm_remove_irqfd(struct kvm *kvm, int eventfd, uint32_t gsi, struct err *err)
{
	int ret = set_irqfd(kvm, eventfd, gsi, KVM_IRQFD_FLAG_DEASSIGN);

	return ret < 0 ? err_set(err, -ret, "remove an irqfd") : 0;
}
