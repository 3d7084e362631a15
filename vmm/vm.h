/* SPDX-License-Identifier: Apache-2.0 */
/* The virtual machine: owns everything that it is made of. vm_create is the ordered list of that. */
#ifndef VMM_VM_H
#define VMM_VM_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/loop.h"
#include "vmm/config.h"
#include "vmm/vcpu.h"

struct vm;

/* Builds the VM, ready to run; the process is jailed when this returns. config is borrowed for the VM's life. */
struct vm *vm_create(const struct config *config, struct err *err);

/* Runs until the VM ends, and says why. Logs the reason and the guest's last lines unless it was stopped on request. */
enum vm_end vm_run(struct vm *vm);

void vm_free(struct vm *vm);

/* For the control socket; I/O thread. */
struct vm_status {
	bool paused;
	unsigned int vcpus;
	uint64_t memory_bytes; /* that the guest has, what it has plugged included */
	uint32_t balloon_mib;
	uint64_t discarded_bytes;
};
void vm_status(struct vm *vm, struct vm_status *status);
void vm_pause(struct vm *vm);
void vm_resume(struct vm *vm);
void vm_stop(struct vm *vm);
int vm_set_balloon(struct vm *vm, uint32_t mib, struct err *err) must_check;
/* Memory in all: never less than at boot, and what a guest gives back it gives when it can. */
int vm_set_memory(struct vm *vm, uint32_t mib, struct err *err) must_check;
/* A network device that comes and goes; id may be empty. The tap stays the caller's. */
int vm_add_net(struct vm *vm, const char *id, const uint8_t mac[6], int tap, struct err *err) must_check;
int vm_remove_net(struct vm *vm, const uint8_t mac[6], struct err *err) must_check;
/* A disk that comes and goes, read only if fd is. fd stays the caller's. */
int vm_add_disk(struct vm *vm, const char *id, int fd, struct err *err) must_check;
/* All disks and network devices that came like this and whose id begins with prefix. */
int vm_remove_devices(struct vm *vm, const char *prefix, struct err *err) must_check;
/* fd is owned by the VM on success. */
int vm_add_share(struct vm *vm, const char *name, int fd, struct err *err) must_check;
int vm_remove_share(struct vm *vm, const char *name, struct err *err) must_check;
/* A socket in a shared directory by the id that the guest knows it by: an O_PATH descriptor, the caller's, or -errno. */
int vm_open_socket(struct vm *vm, uint64_t id, struct err *err) must_check;

#endif
