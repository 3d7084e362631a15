/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the VM: its parts, for the files vm*.c. Everybody else has vm.h. */
#ifndef VMM_VM_PARTS_H
#define VMM_VM_PARTS_H

#include <pthread.h>

#include "vmm/arch/arch.h"
#include "vmm/devices.h"
#include "vmm/kvm.h"
#include "vmm/memory.h"
#include "vmm/serial.h"
#include "vmm/snapshot.h"
#include "vmm/virtio/disk_ring.h"
#include "vmm/visitors.h"
#include "vmm/vm.h"

struct vm {
	const struct config *config; /* borrowed */
	struct loop *loop;
	struct memory *mem;
	struct kvm kvm;
	struct arch_interrupts *interrupts;
	struct serial serial;
	struct bus mmio, ports;
	struct boot boot;
	struct fs_server *fs_server;
	struct visitors visitors;
	struct virtio_device *fs, *vsock, *balloon, *memory_device; /* borrowed from devices */
	struct devices devices;
	struct disk_ring *disk_ring; /* NULL: the VM has no disks and takes none */
	struct vcpu_shared shared;
	struct vcpu vcpus[CONFIG_VCPUS_MAX];
	unsigned int nvcpus;
	int control_fd, vsock_fd, console_fd; /* listening sockets */
	struct control *control;
	struct snapshot *snapshot; /* that it is restored from; NULL: it boots */
	bool ready_to_save; /* of a VM that is to be saved: its guest has called the host */
	int proc_self_fd; /* until the file server takes it */
	int ended_fd;	  /* eventfd: a vCPU thread says that the VM ended */
	bool paused;

	pthread_mutex_t end_lock;
	bool has_ended; /* under end_lock, as the next two */
	enum vm_end end;
	char reason[256];
};

/* The VM ends; ctx is the struct vm. From any thread; the first reason counts. */
void vm_ended(void *ctx, enum vm_end end, const char *reason);

/* The guest's disks and network devices; into a VM that is restored they come as into one that runs. */
int vm_create_disks(struct vm *vm, struct err *err) must_check;
int vm_create_nets(struct vm *vm, struct err *err) must_check;

/* Memory, then devices and interrupts, as the snapshot of the configuration has them (vm_snapshot.c). */
int vm_load_snapshot(struct vm *vm, struct err *err) must_check;
int vm_restore_machine(struct vm *vm, struct err *err) must_check;

/* The end of a VM that is to be saved: does that, if its guest has come so far. */
enum vm_end vm_end_with_snapshot(struct vm *vm);

#endif
