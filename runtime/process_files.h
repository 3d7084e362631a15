/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's process as files of /proc (proc(5)), for whoever reads them on the host. */
#ifndef RUNTIME_PROCESS_FILES_H
#define RUNTIME_PROCESS_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/proto/agent.pb-c.h"

/*
 * Whether the guest's answer is one that files can be made of: pids ascend from 1 on, lists have their lengths. Whatever
 * the numbers are, the files have the form that the kernel gives them.
 */
bool process_files_check(const Cella__Agent__DescribeProcessesResponse *table);

/* By its pid, or NULL. The table has been checked. */
const Cella__Agent__Process *process_files_find(const Cella__Agent__DescribeProcessesResponse *table, int pid);

/* The text of a file, which the caller frees; NULL without memory. */
char *process_files_stat(const Cella__Agent__Process *process, size_t *ret_len);
char *process_files_status(const Cella__Agent__Process *process, size_t *ret_len);
char *process_files_cmdline(const Cella__Agent__Process *process, size_t *ret_len);

/* /proc/stat, of which there is only the time of the host's boot: what the starts of processes count from. */
char *process_files_system_stat(size_t *ret_len);

#endif
