/* SPDX-License-Identifier: Apache-2.0 */
/* Saving a VM whose guest is ready for work, and going on from there. */
#include <errno.h>
#include <stdlib.h>

#include "lib/cleanup.h"
#include "lib/log.h"
#include "vmm/vm_parts.h"

int vm_load_snapshot(struct vm *vm, struct err *err)
{
	vm->snapshot = snapshot_read(vm->config->restore_fd, vm->config->vcpus, err);
	if (!vm->snapshot)
		return -err->code;
	return snapshot_load(vm->snapshot, vm->mem, vm->config->restore_fd, err);
}

/* Where the guest of a snapshot left off. */
int vm_restore_machine(struct vm *vm, struct err *err)
{
	const struct snapshot *snapshot = vm->snapshot;

	if (snapshot->nwindows != vm->devices.n)
		return err_msg(err, EINVAL, "a snapshot with %u devices for a VM with %zu", snapshot->nwindows, vm->devices.n);
	if (arch_restore_machine(&vm->kvm, vm->interrupts, &snapshot->machine, err) < 0 ||
	    devices_restore(&vm->devices, snapshot->devices, err) < 0 ||
	    vm_create_disks(vm, err) < 0 || vm_create_nets(vm, err) < 0)
		return -err->code;
	free(ptr_take(&vm->snapshot));
	return 0;
}

static int save(struct vm *vm, struct err *err)
{
	auto_free struct snapshot *snapshot = snapshot_new(vm->mem, vm->nvcpus, err);

	if (!snapshot)
		return -err->code;
	snapshot->nwindows = (uint32_t)vm->devices.n;
	for (unsigned int i = 0; i < vm->nvcpus; i++)
		if (vcpu_complete_exit(&vm->vcpus[i], err) < 0 ||
		    arch_save_vcpu(&vm->kvm, vm->vcpus[i].fd, &snapshot->vcpus[i], err) < 0)
			return -err->code;
	if (arch_save_machine(&vm->kvm, vm->interrupts, &snapshot->machine, err) < 0 ||
	    devices_save(&vm->devices, snapshot->devices, err) < 0)
		return -err->code;
	return snapshot_write(snapshot, vm->mem, memory_at(vm->mem, vm->boot.read_only, vm->boot.read_only_size),
			      vm->boot.read_only_size, vm->config->snapshot_fd, err);
}

/* A VM that was to be saved and was not has failed, whatever else it did. */
enum vm_end vm_end_with_snapshot(struct vm *vm)
{
	struct err err;

	if (!vm->ready_to_save || vm->end != VM_END_STOPPED) {
		log_error("the VM was not saved: %s", vm->reason);
		return vm->end == VM_END_STOPPED ? VM_END_SETUP : vm->end;
	}
	vm_pause(vm);
	if (save(vm, &err) == 0)
		return VM_END_STOPPED;
	log_error("the VM was not saved: %s", err.msg);
	return VM_END_SETUP;
}
