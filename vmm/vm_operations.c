/* SPDX-License-Identifier: Apache-2.0 */
/* What can be done with a VM while it runs: the control socket's commands. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "vmm/fs/server.h"
#include "vmm/virtio/balloon.h"
#include "vmm/virtio/blk.h"
#include "vmm/virtio/mem.h"
#include "vmm/virtio/net.h"
#include "vmm/vm_parts.h"

void vm_status(struct vm *vm, struct vm_status *status)
{
	*status = (struct vm_status){ .paused = vm->paused, .vcpus = vm->nvcpus, .memory_bytes = vm->mem->size };
	if (vm->memory_device)
		status->memory_bytes += mem_plugged(vm->memory_device);
	if (vm->balloon) {
		status->balloon_mib = balloon_actual(vm->balloon);
		status->discarded_bytes = balloon_discarded(vm->balloon);
	}
}

void vm_pause(struct vm *vm)
{
	if (!vm->paused)
		vcpu_pause_all(vm->vcpus, vm->nvcpus);
	vm->paused = true;
}

void vm_resume(struct vm *vm)
{
	if (vm->paused)
		vcpu_resume_all(vm->vcpus, vm->nvcpus);
	vm->paused = false;
}

void vm_stop(struct vm *vm)
{
	vm_ended(vm, VM_END_STOPPED, "stopped on request");
}

int vm_set_balloon(struct vm *vm, uint32_t mib, struct err *err)
{
	if (!vm->balloon)
		return err_msg(err, ENODEV, "this VM has no balloon");
	balloon_set_target(vm->balloon, mib);
	return 0;
}

/* KVM gets the memory that was not open yet, in whole blocks: the guest adds no less at once. */
static int open_growth(struct vm *vm, uint64_t size, struct err *err)
{
	struct memory *mem = vm->mem;
	uint64_t open = mem->growth.size;
	struct memory_region more = { mem->growth.gpa + open, size - open, mem->growth.host + open };
	int ret;

	if (size <= open)
		return 0;
	ret = kvm_add_memory(&vm->kvm, &more, err);
	if (ret == 0 && memory_open_growth(mem, size) < 0)
		ret = err_set(err, EINVAL, "open %llu bytes", (unsigned long long)size);
	return ret;
}

int vm_set_memory(struct vm *vm, uint32_t mib, struct err *err)
{
	uint64_t wanted = (uint64_t)mib << 20, more = wanted > vm->mem->size ? wanted - vm->mem->size : 0;
	uint64_t usable = (more + MEMORY_BLOCK - 1) / MEMORY_BLOCK * MEMORY_BLOCK;

	if (usable > vm->mem->growth_max)
		return err_msg(err, ERANGE, "%u MiB: this VM has at most %llu", mib,
			       (unsigned long long)((vm->mem->size + vm->mem->growth_max) >> 20));
	if (!vm->memory_device) {
		struct virtio_device *device = mem_new(vm->mem, err);

		if (devices_insert(&vm->devices, device, mem_free, err) < 0)
			return -err->code;
		vm->memory_device = device;
	}
	if (open_growth(vm, usable, err) < 0)
		return -err->code;
	mem_request(vm->memory_device, more, vm->mem->growth.size);
	return 0;
}

int vm_add_net(struct vm *vm, const char *id, const uint8_t mac[6], int tap, struct err *err)
{
	struct virtio_device *virtio;
	int own;

	if (strlen(id) >= CONFIG_DEVICE_ID_MAX)
		return err_msg(err, EINVAL, "network device '%s': the name is too long", id);
	own = fcntl(tap, F_DUPFD_CLOEXEC, 0);
	if (own < 0)
		return err_set(err, errno, "take the tap");
	virtio = net_new(vm->mem, vm->loop, own, mac, vm->config->net_rate, err);
	if (!virtio)
		close(own);
	return devices_insert_net(&vm->devices, virtio, id, mac, err);
}

int vm_remove_net(struct vm *vm, const uint8_t mac[6], struct err *err)
{
	return devices_remove_net(&vm->devices, mac, err);
}

int vm_add_disk(struct vm *vm, const char *id, int fd, struct err *err)
{
	bool read_only = (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY;
	struct virtio_device *virtio;
	int own;

	if (!vm->config->late_disks || !vm->disk_ring)
		return err_msg(err, ENOTSUP, "this VM takes no disks while it runs");
	if (strlen(id) >= CONFIG_DEVICE_ID_MAX)
		return err_msg(err, EINVAL, "disk '%s': the name is too long", id);
	own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (own < 0)
		return err_set(err, errno, "take the disk");
	virtio = blk_new(vm->mem, vm->disk_ring, own, read_only, id, err);
	if (!virtio)
		close(own);
	return devices_insert_disk(&vm->devices, virtio, id, err);
}

int vm_remove_devices(struct vm *vm, const char *prefix, struct err *err)
{
	return devices_remove(&vm->devices, prefix, err);
}

int vm_add_share(struct vm *vm, const char *name, int fd, struct err *err)
{
	if (!vm->fs_server)
		return err_msg(err, ENODEV, "this VM has no file server");
	return fs_server_add_share(vm->fs_server, name, fd, err);
}

int vm_remove_share(struct vm *vm, const char *name, struct err *err)
{
	int ret = vm->fs_server ? fs_server_remove_share(vm->fs_server, name) : -ENODEV;

	return ret < 0 ? err_set(err, -ret, "remove share '%s'", name) : 0;
}

int vm_open_socket(struct vm *vm, uint64_t id, struct err *err)
{
	int fd = vm->fs_server ? fs_server_open_socket(vm->fs_server, id) : -ENODEV;

	return fd < 0 ? err_set(err, -fd, "a socket in a shared directory") : fd;
}
