/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Templates: guests that were booted once and saved, from which VMs are started instead of booting (vmm/snapshot.h). One for
 * each size, in <settings.template_dir>/<memory>m-<vcpus>c, whatever state directory an engine chooses: the snapshot, and
 * the identity of everything that it was made from.
 *
 * VMs of one template share the kernel's text and constants. What makes them different (random numbers, the clock) they get
 * before anything of a container runs; docs/architecture.md says what remains the same.
 */
#ifndef RUNTIME_TEMPLATE_H
#define RUNTIME_TEMPLATE_H

#include <stdint.h>

#include "lib/err.h"
#include "runtime/runtime.h"
#include "runtime/settings.h"
#include "runtime/vm.h"

/* A descriptor of the snapshot that was made from just this, or -1: the VM has to boot. */
int template_open(const char *directory, const struct vm_size *size, const char *identity);

/* Boots a guest as these settings have it, saves it and puts it in place of the template of its size, if there is one. */
int template_create(const struct runtime *runtime, const struct settings *settings, struct err *err) must_check;

/* Calls visit for each; bytes: what it takes of the file system. */
int template_list(const char *directory, void (*visit)(void *ctx, const struct vm_size *size, uint64_t bytes), void *ctx,
		  struct err *err) must_check;

/* Removes all of them. VMs that live on one keep it until they end. */
int template_remove_all(const char *directory, struct err *err) must_check;

#endif
