/* SPDX-License-Identifier: Apache-2.0 */
/* cella-vmm: argv to exit status. */
#include <stdio.h>

#include "lib/io.h"
#include "lib/log.h"
#include "vmm/config.h"
#include "vmm/vm.h"

int main(int argc, char **argv)
{
	struct config config;
	struct err err;
	struct vm *vm;
	enum vm_end end;

	if (io_fill_standard_fds() < 0)
		return VM_END_SETUP;
	log_init_fd("cella-vmm", 2, LOG_FORMAT_TEXT, LOG_LEVEL_WARN);
	if (config_parse(&config, argc, argv, &err) < 0) {
		log_error("%s", err.msg);
		return VM_END_SETUP;
	}
	if (config.show_help) {
		config_print_usage();
		return 0;
	}
	if (config.show_version) {
		printf("cella-vmm version %s\n", CELLA_VERSION);
		return 0;
	}
	log_init_fd("cella-vmm", 2, config.log_json ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT,
		    config.debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN);
	vm = vm_create(&config, &err);
	if (!vm) {
		log_error("%s", err.msg);
		return VM_END_SETUP;
	}
	end = vm_run(vm);
	/* The process ends: the kernel takes memory and descriptors back faster than vm_free would. */
	return end;
}
