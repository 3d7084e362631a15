/* SPDX-License-Identifier: Apache-2.0 */
/* vCPU registers at boot: CPUID, MSRs, long mode. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "vmm/arch/arch.h"

#define CPUID_ENTRIES_MAX 256

#define CR0_PE (1ULL << 0)
#define CR0_ET (1ULL << 4)
#define CR0_PG (1ULL << 31)
#define CR4_PAE (1ULL << 5)
#define EFER_LME (1ULL << 8)
#define EFER_LMA (1ULL << 10)

#define MSR_MICROCODE 0x8b
#define MSR_MISC_ENABLE 0x1a0
#define MSR_MISC_ENABLE_FAST_STRING 1
#define MSR_MTRR_DEF_TYPE 0x2ff
#define MTRR_ENABLED_WRITE_BACK 0x806

#define LEAF1_ECX_TSC_DEADLINE (1U << 24)
#define LEAF1_ECX_HYPERVISOR (1U << 31)
#define LEAF1_ECX_PDCM (1U << 15)
#define LEAF1_EDX_HTT (1U << 28)
#define LEAF8000_0001_ECX_COUNTERS (1U << 23 | 1U << 24 | 1U << 28) /* of the core, the north bridge, the L3 cache */

static unsigned int bits_for(unsigned int n)
{
	unsigned int bits = 0;

	while ((1U << bits) < n)
		bits++;
	return bits;
}

/* One thread per core, all cores in one package; no performance counters (see arch_disable_counters). */
static void adjust_entry(struct kvm_cpuid_entry2 *entry, unsigned int id, unsigned int nvcpus)
{
	unsigned int bits = bits_for(nvcpus);

	switch (entry->function) {
	case 0x1:
		entry->ebx = (entry->ebx & 0x0000ffff) | id << 24 | (nvcpus > 1 ? nvcpus << 16 : 1U << 16);
		entry->ecx |= LEAF1_ECX_TSC_DEADLINE | LEAF1_ECX_HYPERVISOR;
		entry->ecx &= ~LEAF1_ECX_PDCM;
		if (nvcpus > 1)
			entry->edx |= LEAF1_EDX_HTT;
		else
			entry->edx &= ~LEAF1_EDX_HTT;
		break;
	case 0x4: /* Intel's cache leaf: cores per package and threads that share the cache */
		entry->eax = (entry->eax & 0x3fff) | (nvcpus - 1) << 26;
		break;
	case 0xa: /* Intel's performance counters */
	case 0x80000022: /* AMD's, since version 2 */
		entry->eax = entry->ebx = entry->ecx = entry->edx = 0;
		break;
	case 0xb:
	case 0x1f:
		entry->eax = entry->index == 0 ? 0 : bits;
		entry->ebx = entry->index == 0 ? 1 : nvcpus;
		entry->ecx = entry->index | (entry->index == 0 ? 1U << 8 : 2U << 8);
		entry->edx = id;
		if (entry->index > 1)
			entry->eax = entry->ebx = 0, entry->ecx = entry->index;
		break;
	case 0x80000001: /* AMD's performance counters */
		entry->ecx &= ~LEAF8000_0001_ECX_COUNTERS;
		break;
	case 0x80000008: /* AMD: size of the APIC id and number of threads */
		entry->ecx = bits << 12 | (nvcpus - 1);
		break;
	case 0x8000001e: /* AMD: extended APIC id, core id */
		entry->eax = id;
		entry->ebx = id;
		entry->ecx = 0;
		break;
	}
}

int arch_disable_counters(const struct kvm *kvm, struct err *err)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_PMU_CAPABILITY, .args = { KVM_PMU_CAP_DISABLE } };
	int ret = kvm_ioctl(kvm->vm, KVM_ENABLE_CAP, &cap);

	/* EINVAL: an older kernel, or one that gives no VM any. */
	return ret < 0 && ret != -EINVAL ? err_set(err, -ret, "take away the VM's performance counters") : 0;
}

int arch_set_cpuid(const struct kvm *kvm, int vcpu, unsigned int id, unsigned int nvcpus, struct err *err)
{
	auto_free struct kvm_cpuid2 *cpuid =
		calloc(1, sizeof(*cpuid) + CPUID_ENTRIES_MAX * sizeof(struct kvm_cpuid_entry2));
	int ret;

	if (!cpuid)
		return err_set(err, ENOMEM, "allocate the CPUID table");
	cpuid->nent = CPUID_ENTRIES_MAX;
	ret = kvm_ioctl(kvm->dev, KVM_GET_SUPPORTED_CPUID, cpuid);
	if (ret < 0)
		return err_set(err, -ret, "read the CPUID leaves that KVM supports");
	for (uint32_t i = 0; i < cpuid->nent; i++)
		adjust_entry(&cpuid->entries[i], id, nvcpus);
	ret = kvm_ioctl(vcpu, KVM_SET_CPUID2, cpuid);
	return ret < 0 ? err_set(err, -ret, "set vCPU %u's CPUID", id) : 0;
}

struct msrs {
	struct kvm_msrs head;
	struct kvm_msr_entry entries[3];
};

/*
 * api.rst 4.18, of /dev/kvm: the revision of the processor's microcode. KVM's own answer to a guest is an old one, by which Linux
 * judges that the processor's faults are there still, and says so or does without the instruction.
 */
static bool get_microcode(const struct kvm *kvm, struct kvm_msr_entry *ret_entry)
{
	struct msrs msrs = { .head.nmsrs = 1, .entries = { { .index = MSR_MICROCODE } } };

	if (kvm_ioctl(kvm->dev, KVM_GET_MSRS, &msrs) != 1)
		return false;
	*ret_entry = msrs.entries[0];
	return true;
}

static int set_msrs(const struct kvm *kvm, int vcpu, struct err *err)
{
	struct msrs msrs = {
		.head.nmsrs = 2,
		.entries = {
			{ .index = MSR_MISC_ENABLE, .data = MSR_MISC_ENABLE_FAST_STRING },
			{ .index = MSR_MTRR_DEF_TYPE, .data = MTRR_ENABLED_WRITE_BACK },
		},
	};
	int ret;

	if (get_microcode(kvm, &msrs.entries[2]))
		msrs.head.nmsrs++;
	ret = kvm_ioctl(vcpu, KVM_SET_MSRS, &msrs);
	if (ret >= 0 && (uint32_t)ret != msrs.head.nmsrs)
		ret = -EINVAL;
	return ret < 0 ? err_set(err, -ret, "set a vCPU's MSRs") : 0;
}

static struct kvm_segment segment(uint16_t selector, uint8_t type, bool code)
{
	return (struct kvm_segment){
		.base = 0,
		.limit = 0xffffffff,
		.selector = selector,
		.type = type,
		.present = 1,
		.s = 1,
		.l = code,
		.db = !code,
		.g = 1,
	};
}

/* boot.rst, "64-bit Boot Protocol": long mode, flat segments __BOOT_CS 0x10 and __BOOT_DS 0x18, rsi = the zero page. */
static int set_boot_registers(int vcpu, const struct boot *boot, struct err *err)
{
	struct kvm_regs regs = {
		.rip = boot->entry,
		.rsi = X86_ZERO_PAGE,
		.rsp = X86_ZERO_PAGE,
		.rbp = X86_ZERO_PAGE,
		.rflags = 2,
	};
	struct kvm_sregs sregs;
	int ret = kvm_ioctl(vcpu, KVM_GET_SREGS, &sregs);

	if (ret < 0)
		return err_set(err, -ret, "read the boot vCPU's registers");
	sregs.cs = segment(0x10, 11, true);
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = segment(0x18, 3, false);
	sregs.gdt.base = X86_GDT;
	sregs.gdt.limit = 4 * 8 - 1;
	sregs.cr0 = CR0_PE | CR0_ET | CR0_PG;
	sregs.cr3 = X86_PML4;
	sregs.cr4 = CR4_PAE;
	sregs.efer = EFER_LME | EFER_LMA;
	ret = kvm_ioctl(vcpu, KVM_SET_SREGS, &sregs);
	if (ret == 0)
		ret = kvm_ioctl(vcpu, KVM_SET_REGS, &regs);
	return ret < 0 ? err_set(err, -ret, "set the boot vCPU's registers") : 0;
}

int arch_init_vcpu(const struct kvm *kvm, int vcpu, unsigned int id, unsigned int nvcpus, const struct boot *boot,
		   struct err *err)
{
	int ret = arch_set_cpuid(kvm, vcpu, id, nvcpus, err);

	if (ret == 0)
		ret = set_msrs(kvm, vcpu, err);
	if (ret == 0 && id == 0)
		ret = set_boot_registers(vcpu, boot, err);
	return ret;
}
