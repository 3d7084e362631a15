/* SPDX-License-Identifier: Apache-2.0 */
/* A vCPU: its thread and what it does on each exit. */
#ifndef VMM_VCPU_H
#define VMM_VCPU_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "vmm/bus.h"
#include "vmm/kvm.h"

/* Why the VM ended; also the VMM's exit status (docs/errors.md). */
enum vm_end {
	VM_END_STOPPED = 0,	/* asked to: control socket or SIGTERM */
	VM_END_SETUP = 1,	/* never ran */
	VM_END_GUEST_RESET = 20, /* reboot or triple fault: a guest kernel that is well does neither */
	VM_END_GUEST_PANIC = 21, /* a reset, and the console says why */
	VM_END_KVM = 22,	/* KVM could not go on */
};

struct vcpu_shared {
	const struct bus *mmio; /* borrowed, read only */
	const struct bus *ports; /* borrowed, read only */
	/* Called from a vCPU thread when the VM has to end; must be callable from several at once. */
	void (*ended)(void *ctx, enum vm_end end, const char *reason);
	void *ctx;
	/* Called every few ms on the I/O thread while it waits for vCPUs to stand: they may wait for it. May be NULL. */
	void (*while_waiting)(void *ctx);
	/* Called first on each vCPU thread (seccomp). 0 or -errno. */
	int (*confine)(void *ctx);

	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool paused;	      /* under lock: threads wait between two KVM_RUNs */
	bool quit;	      /* under lock */
	unsigned int waiting; /* under lock: how many threads wait */
};

struct vcpu {
	unsigned int id;
	int fd; /* owned */
	struct kvm_run *run; /* owned mapping */
	size_t run_size;
	pthread_t thread;
	bool started;
	struct vcpu_shared *shared; /* borrowed */
};

void vcpu_shared_init(struct vcpu_shared *shared);

/* Creates the vCPU; its registers are the architecture's business (arch.h). */
int vcpu_init(struct vcpu *vcpu, struct kvm *kvm, unsigned int id, struct vcpu_shared *shared, struct err *err) must_check;

/* Starts the thread. Threads begin paused: vcpu_resume_all lets them go. */
int vcpu_start(struct vcpu *vcpu, struct err *err) must_check;

/* Stops all at the next exit and waits until they stand. I/O thread only. */
void vcpu_pause_all(struct vcpu *vcpus, unsigned int n);
void vcpu_resume_all(struct vcpu *vcpus, unsigned int n);

/*
 * What the guest waits for from its last exit reaches its registers only when KVM_RUN is called again (api.rst 5, "immediate_exit");
 * this does so without running the guest. Of a vCPU that is paused; the state that KVM has of it is whole then.
 */
int vcpu_complete_exit(struct vcpu *vcpu, struct err *err) must_check;

/* Ends the threads (paused or not), joins them and releases everything. */
void vcpu_free_all(struct vcpu *vcpus, unsigned int n);

#endif
