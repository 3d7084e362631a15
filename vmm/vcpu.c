/* SPDX-License-Identifier: Apache-2.0 */
/* The vCPU loop. */
#include "vmm/vcpu.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* Makes a blocked KVM_RUN return; its handler does nothing. */
#define KICK_SIGNAL SIGUSR1
#define WAIT_SLICE_NS 5000000L

static void kicked(int sig)
{
	(void)sig;
}

void vcpu_shared_init(struct vcpu_shared *shared)
{
	struct sigaction action = { .sa_handler = kicked };

	pthread_mutex_init(&shared->lock, NULL);
	pthread_cond_init(&shared->changed, NULL);
	shared->paused = true;
	sigaction(KICK_SIGNAL, &action, NULL);
}

int vcpu_init(struct vcpu *vcpu, struct kvm *kvm, unsigned int id, struct vcpu_shared *shared, struct err *err)
{
	*vcpu = (struct vcpu){ .id = id, .fd = -1, .shared = shared, .run_size = kvm->run_size };
	vcpu->fd = kvm_create_vcpu(kvm, id, err);
	if (vcpu->fd < 0)
		return vcpu->fd;
	vcpu->run = mmap(NULL, vcpu->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED) {
		vcpu->run = NULL;
		return err_set(err, errno, "map vCPU %u's run structure", id);
	}
	return 0;
}

static void port_access(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	/* api.rst, KVM_EXIT_IO: count units of size bytes follow each other at data_offset, within the mapping. */
	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size)
		bus_access(vcpu->shared->ports, run->io.port, data, run->io.size, run->io.direction == KVM_EXIT_IO_OUT);
}

static void __attribute__((format(printf, 3, 4))) end(struct vcpu *vcpu, enum vm_end why, const char *fmt, ...)
{
	char reason[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	/* This thread will not wait any more: nobody may count on it (vcpu_pause_all). */
	pthread_mutex_lock(&vcpu->shared->lock);
	vcpu->shared->quit = true;
	pthread_cond_broadcast(&vcpu->shared->changed);
	pthread_mutex_unlock(&vcpu->shared->lock);
	vcpu->shared->ended(vcpu->shared->ctx, why, reason);
}

/* Handles one exit. Returns false when this vCPU is done. */
static bool handle_exit(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	switch (run->exit_reason) {
	case KVM_EXIT_MMIO:
		bus_access(vcpu->shared->mmio, run->mmio.phys_addr, run->mmio.data, run->mmio.len, run->mmio.is_write);
		return true;
	case KVM_EXIT_IO:
		port_access(vcpu);
		return true;
	case KVM_EXIT_INTR:
	case KVM_EXIT_IOAPIC_EOI: /* of a level interrupt: our lines are edges, whatever a guest makes of them */
		return true;
	case KVM_EXIT_SHUTDOWN:
		end(vcpu, VM_END_GUEST_RESET, "the guest reset itself (vCPU %u)", vcpu->id);
		return false;
	case KVM_EXIT_SYSTEM_EVENT:
		end(vcpu, VM_END_GUEST_RESET, "the guest asked for system event %u", run->system_event.type);
		return false;
	case KVM_EXIT_FAIL_ENTRY:
		end(vcpu, VM_END_KVM, "KVM cannot enter the guest: hardware reason %#llx on CPU %u",
		    (unsigned long long)run->fail_entry.hardware_entry_failure_reason, run->fail_entry.cpu);
		return false;
	case KVM_EXIT_INTERNAL_ERROR:
		end(vcpu, VM_END_KVM, "KVM internal error, suberror %u (data %#llx)", run->internal.suberror,
		    run->internal.ndata ? (unsigned long long)run->internal.data[0] : 0ULL);
		return false;
	default:
		end(vcpu, VM_END_KVM, "KVM exit %u that nobody asked for (vCPU %u)", run->exit_reason, vcpu->id);
		return false;
	}
}

/* Waits while the VM is paused. Returns false when the thread has to end. */
static bool may_run(struct vcpu *vcpu)
{
	struct vcpu_shared *shared = vcpu->shared;
	bool quit;

	pthread_mutex_lock(&shared->lock);
	while (shared->paused && !shared->quit) {
		shared->waiting++;
		pthread_cond_broadcast(&shared->changed);
		pthread_cond_wait(&shared->changed, &shared->lock);
		shared->waiting--;
	}
	quit = shared->quit;
	pthread_mutex_unlock(&shared->lock);
	return !quit;
}

static void *vcpu_thread(void *arg)
{
	struct vcpu *vcpu = arg;
	int ret = vcpu->shared->confine ? vcpu->shared->confine(vcpu->shared->ctx) : 0;

	if (ret < 0) {
		end(vcpu, VM_END_SETUP, "vCPU %u cannot be confined: %s", vcpu->id, strerror(-ret));
		return NULL;
	}
	while (may_run(vcpu)) {
		/* Order against the setter: immediate_exit is cleared only after may_run has looked at paused and quit. */
		ret = ioctl(vcpu->fd, KVM_RUN, NULL);
		if (ret < 0 && (errno == EINTR || errno == EAGAIN)) {
			__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
			continue;
		}
		if (ret < 0) {
			end(vcpu, VM_END_KVM, "KVM_RUN (vCPU %u): %s", vcpu->id, strerror(errno));
			return NULL;
		}
		if (!handle_exit(vcpu))
			return NULL;
	}
	return NULL;
}

int vcpu_start(struct vcpu *vcpu, struct err *err)
{
	pthread_attr_t attr;
	int ret;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 128 << 10);
	ret = pthread_create(&vcpu->thread, &attr, vcpu_thread, vcpu);
	pthread_attr_destroy(&attr);
	if (ret)
		return err_set(err, ret, "start the thread of vCPU %u", vcpu->id);
	vcpu->started = true;
	return 0;
}

/*
 * immediate_exit first, then the signal: a thread that is about to enter KVM_RUN sees the flag, one that is inside gets
 * the signal. A thread that handles an exit meets the flag at its next KVM_RUN.
 */
static void kick_all(struct vcpu *vcpus, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		if (!vcpus[i].started)
			continue;
		__atomic_store_n(&vcpus[i].run->immediate_exit, 1, __ATOMIC_SEQ_CST);
		pthread_kill(vcpus[i].thread, KICK_SIGNAL);
	}
}

void vcpu_pause_all(struct vcpu *vcpus, unsigned int n)
{
	struct vcpu_shared *shared = vcpus[0].shared;

	pthread_mutex_lock(&shared->lock);
	shared->paused = true;
	kick_all(vcpus, n);
	while (shared->waiting < n && !shared->quit) {
		struct timespec until;

		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += WAIT_SLICE_NS;
		if (until.tv_nsec >= 1000000000L) {
			until.tv_nsec -= 1000000000L;
			until.tv_sec++;
		}
		pthread_cond_timedwait(&shared->changed, &shared->lock, &until);
		if (shared->while_waiting) {
			pthread_mutex_unlock(&shared->lock);
			shared->while_waiting(shared->ctx);
			pthread_mutex_lock(&shared->lock);
		}
	}
	pthread_mutex_unlock(&shared->lock);
}

void vcpu_resume_all(struct vcpu *vcpus, unsigned int n)
{
	struct vcpu_shared *shared = vcpus[0].shared;

	pthread_mutex_lock(&shared->lock);
	for (unsigned int i = 0; i < n; i++)
		__atomic_store_n(&vcpus[i].run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	shared->paused = false;
	pthread_cond_broadcast(&shared->changed);
	pthread_mutex_unlock(&shared->lock);
}

int vcpu_complete_exit(struct vcpu *vcpu, struct err *err)
{
	int ret;

	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	ret = ioctl(vcpu->fd, KVM_RUN, NULL);
	if (ret < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	return ret < 0 ? err_set(err, errno, "complete the exit of vCPU %u", vcpu->id) :
			 err_msg(err, EIO, "vCPU %u left with exit %u instead of standing", vcpu->id, vcpu->run->exit_reason);
}

void vcpu_free_all(struct vcpu *vcpus, unsigned int n)
{
	if (n == 0)
		return;
	pthread_mutex_lock(&vcpus[0].shared->lock);
	vcpus[0].shared->quit = true;
	kick_all(vcpus, n);
	pthread_cond_broadcast(&vcpus[0].shared->changed);
	pthread_mutex_unlock(&vcpus[0].shared->lock);
	for (unsigned int i = 0; i < n; i++) {
		if (vcpus[i].started)
			pthread_join(vcpus[i].thread, NULL);
		if (vcpus[i].run)
			munmap(vcpus[i].run, vcpus[i].run_size);
		if (vcpus[i].fd >= 0)
			close(vcpus[i].fd);
	}
}
