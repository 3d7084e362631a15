/* SPDX-License-Identifier: Apache-2.0 */
/* Commands to a VMM that runs: its control socket (vmm/control.h). */
#ifndef RUNTIME_VM_CONTROL_H
#define RUNTIME_VM_CONTROL_H

#include <stdint.h>

#include "lib/err.h"

/* A connection, for the calls below that take one. Owned by the caller, or -errno. */
int vm_control_open(const char *vm_dir, struct err *err) must_check;

/* How much memory the VM shall have in all, and has. */
int vm_control_set_memory(int fd, unsigned int mib, struct err *err) must_check;
int vm_control_get_memory(const char *vm_dir, unsigned int *ret_mib, struct err *err) must_check;

/* A network device with this address over a tap, which stays the caller's; and away with it. id may be empty. */
int vm_control_add_net(int fd, const char *id, const uint8_t mac[6], int tap, struct err *err) must_check;
int vm_control_remove_net(int fd, const uint8_t mac[6], struct err *err) must_check;

/* A disk, read only if fd is; fd stays the caller's. */
int vm_control_add_disk(const char *vm_dir, const char *id, int fd, struct err *err) must_check;
/* Away with all disks and network devices that came like this and whose id begins with prefix. */
int vm_control_remove_devices(const char *vm_dir, const char *prefix, struct err *err) must_check;

/* A new entry of the shared directory, which is fd's. The descriptor stays the caller's. */
int vm_control_add_share(const char *vm_dir, const char *name, int fd, struct err *err) must_check;

/* A socket in a shared directory by the id that the guest has for it: an O_PATH descriptor, the caller's, or -errno. */
int vm_control_open_socket(int fd, uint64_t id, struct err *err) must_check;

/* Takes a share away again. */
int vm_control_remove_share(const char *vm_dir, const char *name, struct err *err) must_check;

#endif
