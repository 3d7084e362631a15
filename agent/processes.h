/* SPDX-License-Identifier: Apache-2.0 */
/* The processes that a container sees, from the guest's /proc. */
#ifndef AGENT_PROCESSES_H
#define AGENT_PROCESSES_H

#include <sys/types.h>

#include "agent/proto/agent.pb-c.h"
#include "lib/err.h"

/* An answer has to fit a message: beyond the first two processes are left out, beyond the last command lines are. */
#define PROCESSES_MAX 8192
#define PROCESSES_BYTES_MAX (3 << 20)
#define COMMAND_LINES_BYTES_MAX (1 << 20)
#define COMMAND_LINE_MAX 4096 /* of each */

/*
 * Those of member's pid namespace and of the namespaces in it. The caller frees the answer with
 * cella__agent__describe_processes_response__free_unpacked. NULL with err.
 */
Cella__Agent__DescribeProcessesResponse *processes_describe(pid_t member, struct err *err);

/*
 * Fill a process from the text of its files (proc(5)), which is changed; for processes.c and its tests. level: the depth of
 * the pid namespace whose numbers count. -EPROTO if it is not such a file.
 */
int processes_parse_status(char *text, size_t level, Cella__Agent__Process *process) must_check;
int processes_parse_stat(char *text, uint64_t now, Cella__Agent__Process *process) must_check;

#endif
