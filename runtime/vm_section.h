/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.json's "vm" (runtime-spec, config-vm.md): a container that chooses its kernel. It names files of the host, so it
 * is followed only as far as cella.conf allows: images below vm.spec_images, each signed as the default one is, and kernel
 * parameters where vm.spec_parameters is 1.
 */
#ifndef RUNTIME_VM_SECTION_H
#define RUNTIME_VM_SECTION_H

#include <jansson.h>
#include <stdbool.h>

#include "lib/err.h"
#include "runtime/settings.h"

/* Changes settings as config.json asks. starts_vm: false for a container that joins a VM, which has its kernel. */
int vm_section_apply(const json_t *config, bool starts_vm, struct settings *settings, struct err *err) must_check;

#endif
