/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The jail. What starts the VMM puts it into namespaces of its own (user, mount, pid, net, ipc, uts); the VMM itself
 * then makes a directory its root, drops what it can do and, thread by thread, what it can ask the kernel for.
 */
#ifndef VMM_SANDBOX_H
#define VMM_SANDBOX_H

#include <stdbool.h>

#include "lib/err.h"

/*
 * Opens /proc/self/fd of a procfs that shows this process's pid namespace only. The mount belongs to the descriptor: it
 * is in no namespace. Call before sandbox_enter.
 */
int sandbox_open_proc(struct err *err) must_check;

/*
 * Makes dir the root (pivot_root in an own mount namespace) and the working directory proc_self_fd (-1: the root).
 * keep_file_caps: the capabilities of a file server stay, bounded to this user namespace; otherwise none stays. No new
 * privileges can be had from here on. Single-threaded, before any other thread exists.
 */
int sandbox_enter(const char *dir, int proc_self_fd, bool keep_file_caps, struct err *err) must_check;

/* The kinds of threads; each has a filter of its own, written in vmm/seccomp/rules.h and compiled at build time. */
enum sandbox_thread { SANDBOX_IO, SANDBOX_VCPU, SANDBOX_FS, SANDBOX_THREADS };

/* Installs the calling thread's filter; a system call outside of it ends the process. 0 or -errno. */
int sandbox_confine_thread(enum sandbox_thread kind) must_check;

#endif
