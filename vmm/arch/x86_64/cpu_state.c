/* SPDX-License-Identifier: Apache-2.0 */
/* Taking a vCPU's state out of KVM and putting it into another VM's. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "vmm/arch/arch.h"

#define MSR_TSC 0x10
#define MSR_TSC_DEADLINE 0x6e0

struct msr_list {
	struct kvm_msr_list head;
	uint32_t indices[ARCH_MSRS_MAX];
};

struct msr_block {
	struct kvm_msrs head;
	struct kvm_msr_entry entries[ARCH_MSRS_MAX];
};

/* The structures that one ioctl fills and another takes back; in the order of restoring. */
static const struct part {
	const char *name;
	unsigned long get, set;
	size_t offset;
} parts[] = {
	{ "state", KVM_GET_MP_STATE, KVM_SET_MP_STATE, offsetof(struct arch_vcpu_state, mp_state) },
	{ "registers", KVM_GET_REGS, KVM_SET_REGS, offsetof(struct arch_vcpu_state, regs) },
	/* Holds the APIC's base and mode, which decide what the APIC's own registers mean. */
	{ "special registers", KVM_GET_SREGS, KVM_SET_SREGS, offsetof(struct arch_vcpu_state, sregs) },
	{ "extended control registers", KVM_GET_XCRS, KVM_SET_XCRS, offsetof(struct arch_vcpu_state, xcrs) },
	{ "extended state", KVM_GET_XSAVE, KVM_SET_XSAVE, offsetof(struct arch_vcpu_state, xsave) },
	{ "debug registers", KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, offsetof(struct arch_vcpu_state, debugregs) },
	{ "local APIC", KVM_GET_LAPIC, KVM_SET_LAPIC, offsetof(struct arch_vcpu_state, lapic) },
	{ "pending events", KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, offsetof(struct arch_vcpu_state, events) },
};

static int get_msr_list(const struct kvm *kvm, struct msr_list *list, struct err *err)
{
	int ret;

	list->head.nmsrs = ARCH_MSRS_MAX;
	ret = kvm_ioctl(kvm->dev, KVM_GET_MSR_INDEX_LIST, list);
	return ret < 0 ? err_set(err, -ret, "read which MSRs there are") : 0;
}

static int get_msr(int vcpu, uint32_t index, struct kvm_msr_entry *entry)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} one = { .head.nmsrs = 1, .entry.index = index };
	int ret = kvm_ioctl(vcpu, KVM_GET_MSRS, &one);

	*entry = one.entry;
	return ret < 0 ? ret : ret == 1 ? 0 : -ENOENT;
}

/*
 * The list has some that this processor lacks: they cannot be read. First the time stamp counter, which times are
 * relative to; last the deadline, which wants counter and APIC as they were. One that has passed reads as 0, even if its
 * interrupt is not in the APIC yet: then it passes again, right away.
 */
static int save_msrs(const struct kvm *kvm, int vcpu, struct arch_vcpu_state *state, struct err *err)
{
	auto_free struct msr_list *list = calloc(1, sizeof(*list));
	struct kvm_msr_entry entry, deadline = { .index = 0 };

	if (!list)
		return err_set(err, ENOMEM, "MSRs");
	if (get_msr_list(kvm, list, err) < 0)
		return -err->code;
	if (get_msr(vcpu, MSR_TSC, &state->msrs[0]) < 0)
		return err_msg(err, EIO, "read the time stamp counter");
	state->nmsrs = 1;
	for (uint32_t i = 0; i < list->head.nmsrs; i++) {
		if (list->indices[i] == MSR_TSC || get_msr(vcpu, list->indices[i], &entry) < 0)
			continue;
		if (list->indices[i] == MSR_TSC_DEADLINE)
			deadline = (struct kvm_msr_entry){ .index = MSR_TSC_DEADLINE, .data = entry.data ? entry.data : state->msrs[0].data };
		else if (state->nmsrs < ARCH_MSRS_MAX - 1)
			state->msrs[state->nmsrs++] = entry;
		else
			return err_msg(err, E2BIG, "more than %d MSRs", ARCH_MSRS_MAX);
	}
	if (deadline.index)
		state->msrs[state->nmsrs++] = deadline;
	return 0;
}

/* One that cannot be written matters only if it is not what it should be already. */
static int restore_msrs(int vcpu, const struct arch_vcpu_state *state, struct err *err)
{
	auto_free struct msr_block *block = calloc(1, sizeof(*block));
	uint32_t done = 0;

	if (!block)
		return err_set(err, ENOMEM, "MSRs");
	while (done < state->nmsrs) {
		const struct kvm_msr_entry *refused;
		struct kvm_msr_entry now;
		int ret;

		block->head.nmsrs = state->nmsrs - done;
		memcpy(block->entries, state->msrs + done, block->head.nmsrs * sizeof(block->entries[0]));
		ret = kvm_ioctl(vcpu, KVM_SET_MSRS, block);
		if (ret < 0)
			return err_set(err, -ret, "set MSRs");
		done += (uint32_t)ret;
		if (done >= state->nmsrs)
			break;
		refused = &state->msrs[done++];
		if (get_msr(vcpu, refused->index, &now) < 0 || now.data != refused->data)
			return err_msg(err, EINVAL, "MSR %#x cannot be set to %#llx", refused->index,
				       (unsigned long long)refused->data);
	}
	return 0;
}

int arch_save_vcpu(const struct kvm *kvm, int vcpu, struct arch_vcpu_state *state, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		int ret = kvm_ioctl(vcpu, parts[i].get, (uint8_t *)state + parts[i].offset);

		if (ret < 0)
			return err_set(err, -ret, "save a vCPU's %s", parts[i].name);
	}
	return save_msrs(kvm, vcpu, state, err);
}

int arch_restore_vcpu(const struct kvm *kvm, int vcpu, unsigned int id, unsigned int nvcpus,
		      const struct arch_vcpu_state *state, struct err *err)
{
	int ret = arch_set_cpuid(kvm, vcpu, id, nvcpus, err);

	if (ret < 0)
		return ret;
	if (state->nmsrs > ARCH_MSRS_MAX)
		return err_msg(err, EINVAL, "a vCPU with %u MSRs", state->nmsrs);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		ret = kvm_ioctl(vcpu, parts[i].set, (uint8_t *)state + parts[i].offset);
		if (ret < 0)
			return err_set(err, -ret, "restore a vCPU's %s", parts[i].name);
	}
	return restore_msrs(vcpu, state, err);
}

int arch_save_machine(const struct kvm *kvm, struct arch_interrupts *interrupts, struct arch_machine_state *state,
		      struct err *err)
{
	int ret = kvm_ioctl(kvm->vm, KVM_GET_CLOCK, &state->clock);

	if (ret < 0)
		return err_set(err, -ret, "save the VM's clock");
	arch_save_interrupts(interrupts, state);
	return 0;
}

int arch_restore_machine(const struct kvm *kvm, struct arch_interrupts *interrupts, const struct arch_machine_state *state,
			 struct err *err)
{
	/* The guest's time goes on from where it stood (api.rst 4.30): without KVM_CLOCK_REALTIME nothing is added. */
	struct kvm_clock_data clock = { .clock = state->clock.clock };
	int ret = kvm_ioctl(kvm->vm, KVM_SET_CLOCK, &clock);

	if (ret < 0)
		return err_set(err, -ret, "restore the VM's clock");
	return arch_restore_interrupts(interrupts, state, err);
}
