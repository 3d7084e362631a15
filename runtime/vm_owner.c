/* SPDX-License-Identifier: Apache-2.0 */
/* The first stand-in of a VM: waits for its agent, then follows what the VM needs from the host. */
#include "runtime/vm_owner.h"

#include <errno.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>

#include "lib/io.h"
#include "lib/log.h"
#include "runtime/agent_client.h"
#include "runtime/vm.h"
#include "runtime/vm_control.h"

int vm_owner_accept_agent(const struct standin_job *job, struct err *err)
{
	struct pollfd fds[2] = {
		{ .fd = job->ready, .events = POLLIN },
		{ .fd = job->vmm_pidfd, .events = POLLIN },
	};
	int64_t deadline = io_now_ms() + job->boot_timeout_ms;
	char last[700];
	int fd;

	for (;;) {
		int64_t left = deadline - io_now_ms();
		int n = left > 0 ? poll(fds, 2, (int)left) : 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (fds[0].revents & POLLIN) {
			fd = accept4(job->ready, NULL, NULL, SOCK_CLOEXEC);
			return fd < 0 ? err_set(err, errno, "accept the agent") : fd;
		}
		vm_last_log(job->directory, last, sizeof(last));
		if (n > 0)
			return err_msg(err, EIO, "the VM ended while it booted: %s", last);
		return err_msg(err, ETIMEDOUT, "the guest's agent has not answered within %d s%s%s",
			       job->boot_timeout_ms / 1000, *last ? ": " : "", last);
	}
}

static int setup_guest(const struct vm_owner *owner, struct loop *loop, struct ttrpc *agent, struct err *err)
{
	Cella__Agent__SetupGuestRequest request = CELLA__AGENT__SETUP_GUEST_REQUEST__INIT;
	struct timespec now;
	uint8_t seed[64];

	if (getrandom(seed, sizeof(seed), 0) != sizeof(seed))
		return err_set(err, errno, "getrandom");
	clock_gettime(CLOCK_REALTIME, &now);
	request.realtime_ns = now.tv_sec * 1000000000LL + now.tv_nsec;
	request.entropy.data = seed;
	request.entropy.len = sizeof(seed);
	request.share_tag = (char *)"cella";
	request.growth_mib = growth_left_mib(&owner->growth);
	/* The answer comes before the next call's: the agent serves in order. */
	return ttrpc_call_wait(agent, loop, AGENT_SERVICE, "SetupGuest", &request.base,
			       &cella__agent__setup_guest_response__descriptor, NULL, AGENT_TIMEOUT_MS, err);
}

int vm_owner_set_up(struct vm_owner *owner, const struct standin_job *job, struct loop *loop, struct ttrpc *agent, struct err *err)
{
	owner->control = vm_control_open(job->vm_dir, err);
	if (owner->control < 0 ||
	    growth_prepare(&owner->growth, owner->control, &job->cgroup, job->memory_mib, job->growth_mib, err) < 0)
		return -err->code;
	return setup_guest(owner, loop, agent, err);
}

int vm_owner_start(struct vm_owner *owner, struct ttrpc *agent, struct err *err)
{
	return growth_start(&owner->growth, agent, err);
}
