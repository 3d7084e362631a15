/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stand-in's /proc: a FUSE file system with the processes of the guest's container, served on the stand-in's loop.
 *
 * `podman top` enters the stand-in's mount namespace and reads /proc there. Of a process there are stat, status, cmdline and
 * ns/pid, beside them /proc/stat. Each opening of the directory has the agent describe the processes anew.
 */
#ifndef RUNTIME_STANDIN_PROC_H
#define RUNTIME_STANDIN_PROC_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/proto/agent.pb-c.h"
#include "lib/err.h"
#include "lib/loop.h"
#include "lib/ttrpc.h"

#define STANDIN_PROC_WAITING_MAX 64

struct standin_proc {
	int fuse; /* owned; -1: there is none */
	const char *id; /* borrowed */
	struct loop *loop;
	struct ttrpc *agent;
	char namespace[64]; /* what ns/pid of the first process leads to */
	Cella__Agent__DescribeProcessesResponse *table; /* owned; NULL before the first answer */
	uint64_t waiting[STANDIN_PROC_WAITING_MAX];	 /* openings of the directory that wait for the agent's answer */
	size_t n_waiting;
	bool asking;
};

/*
 * Mounts it on target (O_PATH), for standin_proc_start. From then on the stand-in itself must not touch it: nobody else
 * would answer.
 */
int standin_proc_mount(struct standin_proc *proc, int target, struct err *err) must_check;

/* Serves it from now on. id is borrowed. */
int standin_proc_start(struct standin_proc *proc, const char *id, struct loop *loop, struct ttrpc *agent, struct err *err) must_check;

#endif
