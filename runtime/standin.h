/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stand-in: the host process that engines see instead of the guest's. Its pid is in the pid file; it holds the
 * process's standard streams, passes signals and window sizes on, and exits with the guest process's status.
 *
 *   caller (conmon, a shim, a shell)
 *    `- cella create		exits when the stand-in has been committed
 *        |- stand-in		the caller's child from then on; argv is the container's
 *        `- cella-vmm		lives as long as the stand-in holds the owner pipe
 *
 * The stand-in is this same program executed again: it gets its job through a descriptor that the environment names.
 */
#ifndef RUNTIME_STANDIN_H
#define RUNTIME_STANDIN_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "agent/ports.h"
#include "lib/cgroup.h"
#include "lib/err.h"
#include "runtime/state.h"

/* Descriptors from PRESERVED_FIRST on that go to the process (runtime/preserve.h). */
struct preserved_fds {
	struct {
		bool readable, writable; /* neither: there is none of this number */
	} fds[PRESERVED_MAX];
	size_t n;
};

#define HOST_SOCKETS_MAX 16 /* of them in a container */

/* A socket of the host that takes datagrams (runtime/host_sockets.h). */
struct standin_socket {
	int fd, mount_index;
};

/* Written as it is to a memfd; the packed first request (CreateContainer or ExecProcess) follows. */
struct standin_job {
	int report;	/* socket to the creator: a struct err (code 0: ready), then its commit byte comes */
	/* -1 for an exec'd process and for a container in another one's VM: */
	int owner;	/* write end that keeps the VM alive */
	int ready;	/* where the agent will connect */
	int vmm_pidfd;
	bool terminal;
	bool streams[3]; /* connect this standard stream to the guest's */
	struct preserved_fds preserved;
	struct standin_socket sockets[HOST_SOCKETS_MAX];
	size_t nsockets;
	unsigned int sockets_port;
	bool keep_groups; /* the container's processes have ours, some of which have no number in our user namespace */
	char vm_dir[PATH_MAX + 8];
	char directory[PATH_MAX];
	char bundle[PATH_MAX]; /* empty for exec */
	bool own_mounts;       /* it is in a mount namespace of its own */
	struct cgroup cgroup;  /* on the host; path empty: none */
	int memory_max;	       /* its file of that name, -1 if there is none */
	bool follow_network; /* its namespace is one of the VM's, for which it is responsible */
	unsigned int network; /* its number (state.h) */
	bool forward_ports;  /* the engine forwards from within that namespace */
	unsigned int memory_mib, growth_mib; /* what the VM starts with and may get; 0: it is another container's */
	char id[STATE_ID_MAX + 1];
	char exec_id[128]; /* empty: the container's first process */
	char token[33];
	int boot_timeout_ms;
	size_t request_len;
};

/*
 * Forks the stand-in into a cgroup (NULL: ours) and the namespaces that config lists (NULL: stays in ours), with stdio[i] as its standard streams,
 * argv as its name. Its pid, or -errno. The caller is its parent.
 */
pid_t standin_spawn(const struct standin_job *job, const void *request, const int stdio[3], char **argv,
		    const json_t *config, const struct cgroup *cgroup, struct err *err) must_check;

/* The creator's side of job.report: waits until the stand-in is ready, or gets its error. */
int standin_wait_ready(int report, struct err *err) must_check;

/* Lets the stand-in live on without us. */
int standin_commit(int report, struct err *err) must_check;

/* For main(): whether this process was executed to be a stand-in, and then its life. */
bool standin_requested(void);
int standin_main(const char *program);

#endif
