/* SPDX-License-Identifier: Apache-2.0 */
/* What a virtual machine is made of, in the order in which it comes up. */
#include "vmm/vm_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fdpass.h"
#include "lib/log.h"
#include "vmm/control.h"
#include "vmm/fs/server.h"
#include "vmm/sandbox.h"
#include "vmm/virtio/balloon.h"
#include "vmm/virtio/blk.h"
#include "vmm/virtio/console.h"
#include "vmm/virtio/fs.h"
#include "vmm/virtio/net.h"
#include "vmm/virtio/rng.h"
#include "vmm/virtio/vsock.h"

#define LAST_LINES 4096

void vm_ended(void *ctx, enum vm_end end, const char *reason)
{
	struct vm *vm = ctx;
	uint64_t one = 1;

	pthread_mutex_lock(&vm->end_lock);
	if (!vm->has_ended) {
		vm->has_ended = true;
		vm->end = end;
		strncpy(vm->reason, reason, sizeof(vm->reason) - 1);
	}
	pthread_mutex_unlock(&vm->end_lock);
	if (write(vm->ended_fd, &one, sizeof(one)) != sizeof(one))
		log_error("cannot end the VM: %s", strerror(errno));
}

static void end_arrived(void *ctx, uint32_t events)
{
	(void)events;
	loop_stop(((struct vm *)ctx)->loop);
}

static void serve_resets(void *ctx)
{
	devices_serve_resets(&((struct vm *)ctx)->devices);
}

static int confine_vcpu(void *ctx)
{
	(void)ctx;
	return sandbox_confine_thread(SANDBOX_VCPU);
}

static int confine_fs(void *ctx)
{
	(void)ctx;
	return sandbox_confine_thread(SANDBOX_FS);
}

/* Whoever wanted this VM is gone: so is the VM. */
static void owner_gone(void *ctx, uint32_t events)
{
	(void)events;
	vm_ended(ctx, VM_END_STOPPED, "the owner is gone");
}

static int create_loop(struct vm *vm, struct err *err)
{
	vm->loop = loop_new(err);
	if (!vm->loop)
		return -err->code;
	vm->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vm->ended_fd < 0)
		return err_set(err, errno, "create an eventfd");
	if (vm->config->owner_fd >= 0 && loop_add(vm->loop, vm->config->owner_fd, EPOLLIN, owner_gone, vm, err) < 0)
		return -err->code;
	return loop_add(vm->loop, vm->ended_fd, EPOLLIN, end_arrived, vm, err);
}

static int load_boot_images(struct vm *vm, struct err *err)
{
	int ret = boot_load_kernel(&vm->boot, vm->mem, vm->config->kernel_fd, err);
	if (ret == 0 && vm->config->initrd_fd >= 0)
		ret = boot_load_initrd(&vm->boot, vm->mem, vm->config->initrd_fd, err);
	vm->boot.cmdline = vm->config->cmdline;
	return ret;
}

static int load_guest(struct vm *vm, struct err *err)
{
	int ret;

	vm->mem = memory_new((uint64_t)((vm->config->memory_mib + 1) & ~1U) << 20, (uint64_t)vm->config->growth_mib << 20, err);
	if (!vm->mem)
		return -err->code;
	ret = vm->config->restore_fd >= 0 ? vm_load_snapshot(vm, err) : load_boot_images(vm, err);
	memory_leave_out_of_dumps(vm->mem);
	return ret;
}

static int set_up_vcpu(struct vm *vm, unsigned int id, struct err *err)
{
	int fd = vm->vcpus[id].fd;

	return vm->snapshot ? arch_restore_vcpu(&vm->kvm, fd, id, vm->config->vcpus, &vm->snapshot->vcpus[id], err) :
			      arch_init_vcpu(&vm->kvm, fd, id, vm->config->vcpus, &vm->boot, err);
}

static int create_kvm(struct vm *vm, struct err *err)
{
	int dev = vm->config->kvm_fd, ret;

	if (dev < 0)
		dev = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (dev < 0)
		return err_set(err, errno, "open /dev/kvm");
	ret = kvm_open(&vm->kvm, dev, vm->mem, err);
	if (ret == 0)
		ret = arch_create_irqchip(&vm->kvm, ARCH_IRQ_MAX + 1, err);
	if (ret == 0)
		ret = arch_disable_counters(&vm->kvm, err);
	if (ret < 0)
		return ret;
	vcpu_shared_init(&vm->shared);
	vm->shared.mmio = &vm->mmio;
	vm->shared.ports = &vm->ports;
	vm->shared.ended = vm_ended;
	vm->shared.confine = confine_vcpu;
	vm->shared.while_waiting = serve_resets;
	vm->shared.ctx = vm;
	for (unsigned int i = 0; i < vm->config->vcpus && ret == 0; i++) {
		ret = vcpu_init(&vm->vcpus[i], &vm->kvm, i, &vm->shared, err);
		vm->nvcpus = i + 1;
		if (ret == 0)
			ret = set_up_vcpu(vm, i, err);
	}
	return ret;
}

/* The sockets are made while the directory still has its host path; the guest's side of them comes with the devices. */
static int listen_in_root(const struct vm *vm, const char *name, struct err *err)
{
	char path[256];

	if (!name)
		return -1;
	snprintf(path, sizeof(path), "%s/%s", vm->config->root, name);
	return fdpass_listen(path, 64, err);
}

static int create_sockets(struct vm *vm, struct err *err)
{
	err->code = 0;
	vm->control_fd = listen_in_root(vm, vm->config->control, err);
	if (!err->code)
		vm->vsock_fd = listen_in_root(vm, vm->config->vsock, err);
	if (!err->code)
		vm->console_fd = listen_in_root(vm, vm->config->console, err);
	return -err->code;
}

static int create_file_server(struct vm *vm, struct err *err)
{
	const struct config *config = vm->config;
	int ret;

	vm->fs_server = fs_server_new(vm->proc_self_fd, err);
	if (!vm->fs_server)
		return -err->code;
	vm->proc_self_fd = -1;
	for (size_t i = 0; i < config->nshares; i++) {
		ret = fs_server_add_share(vm->fs_server, config->shares[i].name, config->shares[i].fd, err);
		if (ret < 0)
			return ret;
	}
	vm->fs = fs_new(vm->mem, vm->fs_server, config->fs_tag, config->fs_workers, err);
	return devices_plug(&vm->devices, vm->fs, fs_free, err);
}

/* The guest of a VM that is to be saved is where every restored one begins. */
static void guest_called(void *ctx)
{
	struct vm *vm = ctx;

	vm->ready_to_save = true;
	vm_ended(vm, VM_END_STOPPED, "the guest is ready to be saved");
}

static int create_vsock(struct vm *vm, struct err *err)
{
	char path[80];

	snprintf(path, sizeof(path), "/%s", vm->config->vsock);
	vm->vsock = vsock_new(vm->mem, vm->loop, vm->config->cid, vm->vsock_fd, path, err);
	if (vm->vsock && vm->config->snapshot_fd >= 0)
		vsock_hold_requests(vm->vsock, guest_called, vm);
	return devices_plug(&vm->devices, vm->vsock, vsock_free, err);
}

static int watch_visitors(struct vm *vm, struct err *err)
{
	vm->visitors = (struct visitors){ .server = vm->fs_server, .vsock = vm->vsock };
	return visitors_watch(&vm->visitors, vm->loop, err);
}

int vm_create_nets(struct vm *vm, struct err *err)
{
	const struct config *config = vm->config;
	int ret = 0;

	for (size_t i = 0; i < config->nnets && ret == 0; i++) {
		const struct config_net *net = &config->nets[i];
		struct virtio_device *virtio = net_new(vm->mem, vm->loop, net->tap, net->mac, config->net_rate, err);

		ret = vm->snapshot ? devices_insert_net(&vm->devices, virtio, "", net->mac, err) :
				     devices_plug_net(&vm->devices, virtio, net->mac, err);
	}
	return ret;
}

int vm_create_disks(struct vm *vm, struct err *err)
{
	const struct config *config = vm->config;
	int ret = 0;

	for (size_t i = 0; i < config->ndisks && ret == 0; i++) {
		const struct config_disk *disk = &config->disks[i];
		struct virtio_device *virtio = blk_new(vm->mem, vm->disk_ring, disk->fd, disk->read_only, disk->id, err);

		ret = vm->snapshot ? devices_insert_disk(&vm->devices, virtio, disk->id, err) :
				     devices_plug(&vm->devices, virtio, blk_free, err);
	}
	return ret;
}

static int create_disk_ring(struct vm *vm, struct err *err)
{
	if (vm->config->ndisks == 0 && !vm->config->late_disks)
		return 0;
	vm->disk_ring = disk_ring_new(vm->loop, err);
	if (vm->disk_ring)
		return 0;
	if (vm->config->ndisks > 0)
		return -err->code;
	/* A host may have it switched off (sysctl kernel.io_uring_disabled); most pods have no disks. */
	log_warn("no disks can come: %s", err->msg);
	return 0;
}

static int create_devices(struct vm *vm, struct err *err)
{
	const struct config *config = vm->config;
	int ret = devices_init(&vm->devices, &vm->kvm, vm->loop, &vm->mmio, err);

	if (ret == 0 && config->vsock)
		ret = create_vsock(vm, err);
	if (ret == 0 && config->fs_tag)
		ret = create_file_server(vm, err);
	if (ret == 0 && vm->fs_server && vm->vsock)
		ret = watch_visitors(vm, err);
	if (ret == 0)
		ret = create_disk_ring(vm, err);
	if (ret == 0 && !vm->snapshot)
		ret = vm_create_disks(vm, err);
	if (ret == 0 && !vm->snapshot)
		ret = vm_create_nets(vm, err);
	if (ret == 0 && config->console)
		ret = devices_plug(&vm->devices, console_new(vm->mem, vm->loop, &vm->serial, vm->console_fd, err), console_free, err);
	if (ret == 0 && config->rng)
		ret = devices_plug(&vm->devices, rng_new(vm->mem, err), rng_free, err);
	if (ret == 0 && config->balloon) {
		vm->balloon = balloon_new(vm->mem, err);
		ret = devices_plug(&vm->devices, vm->balloon, balloon_free, err);
	}
	if (ret == 0)
		ret = devices_add_slots(&vm->devices, config->slots, err);
	if (ret == 0)
		ret = devices_show(&vm->devices, err);
	if (ret == 0 && bus_add(&vm->ports, SERIAL_PORT, SERIAL_PORTS, serial_access, &vm->serial) < 0)
		ret = err_msg(err, EEXIST, "place the serial port");
	return ret;
}

static int create_interrupts(struct vm *vm, struct err *err)
{
	vm->interrupts = arch_interrupts_new(&vm->kvm, vm->devices.nlines, &vm->mmio, err);
	return vm->interrupts ? 0 : -err->code;
}

static int write_boot_data(struct vm *vm, struct err *err)
{
	struct arch_mmio_device windows[DEVICES_MAX];
	struct arch_machine machine = { .nvcpus = vm->nvcpus, .devices = windows, .ndevices = vm->devices.n };

	for (size_t i = 0; i < vm->devices.n; i++)
		windows[i] = vm->devices.all[i].window;
	return arch_write_boot_data(vm->mem, &vm->boot, &machine, err);
}

static int prepare_guest(struct vm *vm, struct err *err)
{
	return vm->snapshot ? vm_restore_machine(vm, err) : write_boot_data(vm, err);
}

static int create_control(struct vm *vm, struct err *err)
{
	if (vm->control_fd < 0)
		return 0;
	vm->control = control_new(vm->loop, vm->control_fd, vm, err);
	return vm->control ? 0 : -err->code;
}

static int enter_jail(struct vm *vm, struct err *err)
{
	bool files = vm->config->fs_tag != NULL;

	if (files) {
		vm->proc_self_fd = sandbox_open_proc(err);
		if (vm->proc_self_fd < 0)
			return vm->proc_self_fd;
	}
	return sandbox_enter(vm->config->root, vm->proc_self_fd, files, err);
}

static int start_threads(struct vm *vm, struct err *err)
{
	int ret = 0;

	if (vm->fs)
		ret = fs_start(vm->fs, confine_fs, vm, err);
	for (unsigned int i = 0; i < vm->nvcpus && ret == 0; i++)
		ret = vcpu_start(&vm->vcpus[i], err);
	if (ret < 0)
		return ret;
	/* Saving takes more of KVM than the filter lets through; the guest that is saved is ours, no tenant's yet. */
	if (vm->config->snapshot_fd >= 0)
		return 0;
	ret = sandbox_confine_thread(SANDBOX_IO);
	return ret < 0 ? err_set(err, -ret, "confine the I/O thread") : 0;
}

/* What a VM is made of, in order. The jail comes as early as what has to be opened before allows. */
static int (*const steps[])(struct vm *vm, struct err *err) = {
	create_loop, load_guest, create_kvm, create_sockets, enter_jail,
	create_devices, create_interrupts, prepare_guest, create_control, start_threads,
};

struct vm *vm_create(const struct config *config, struct err *err)
{
	struct vm *vm = calloc(1, sizeof(*vm));

	if (!vm) {
		err_set(err, ENOMEM, "create the VM");
		return NULL;
	}
	vm->config = config;
	vm->kvm.dev = vm->kvm.vm = -1;
	vm->control_fd = vm->vsock_fd = vm->console_fd = vm->proc_self_fd = vm->ended_fd = vm->devices.acknowledged = -1;
	pthread_mutex_init(&vm->end_lock, NULL);
	serial_init(&vm->serial);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
		if (steps[i](vm, err) < 0) {
			vm_free(vm);
			return NULL;
		}
	return vm;
}

static void log_end(struct vm *vm)
{
	char lines[LAST_LINES];
	char *line, *rest = lines;

	serial_last_lines(&vm->serial, lines, sizeof(lines));
	if (vm->end == VM_END_GUEST_RESET && strstr(lines, "Kernel panic"))
		vm->end = VM_END_GUEST_PANIC;
	log_error("the VM ended: %s%s", vm->reason, vm->end == VM_END_GUEST_PANIC ? " after a kernel panic" : "");
	while ((line = strsep(&rest, "\n")))
		if (*line)
			log_error("guest: %s", line);
}

/* Whoever ended the VM wrote why before it woke the loop, under this lock; later ends change nothing. */
static void see_end(struct vm *vm)
{
	pthread_mutex_lock(&vm->end_lock);
	pthread_mutex_unlock(&vm->end_lock);
}

enum vm_end vm_run(struct vm *vm)
{
	int ret;

	vcpu_resume_all(vm->vcpus, vm->nvcpus);
	ret = loop_run(vm->loop, -1);
	if (ret < 0)
		vm_ended(vm, VM_END_KVM, strerror(-ret));
	see_end(vm);
	if (vm->end != VM_END_STOPPED)
		log_end(vm);
	if (vm->config->snapshot_fd >= 0)
		return vm_end_with_snapshot(vm);
	return vm->end;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void vm_free(struct vm *vm)
{
	if (!vm)
		return;
	vcpu_free_all(vm->vcpus, vm->nvcpus);
	control_free(vm->control);
	devices_free(&vm->devices);
	disk_ring_free(vm->disk_ring);
	fs_server_free(vm->fs_server);
	arch_interrupts_free(vm->interrupts);
	kvm_close(&vm->kvm);
	memory_free(vm->mem);
	close_fd(vm->control_fd);
	close_fd(vm->vsock_fd);
	close_fd(vm->console_fd);
	close_fd(vm->proc_self_fd);
	close_fd(vm->ended_fd);
	loop_free(vm->loop);
	free(vm->snapshot);
	free(vm);
}
