/* SPDX-License-Identifier: Apache-2.0 */
/* cella template: guests that are booted once, for VMs to start from. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/command.h"
#include "runtime/settings.h"
#include "runtime/template.h"

#define MEMORY_MAX_MIB 8192 /* VMs begin small and grow: a larger template is a mistake */

struct template_options {
	long memory_mib, vcpus; /* 0: as the settings have it */
};

static const struct option template_options[] = {
	{ "memory", 0, OPTION_NUMBER, offsetof(struct template_options, memory_mib), "MiB that its VMs have when they start" },
	{ "vcpus", 0, OPTION_NUMBER, offsetof(struct template_options, vcpus), "processors that they have" },
};
static const struct command template_command = { "template [OPTION]... create|list|remove", template_options,
						 ARRAY_SIZE(template_options), 1, 1 };

static int set(unsigned int *field, const char *option, long value, long min, long max, struct err *err)
{
	if (value && (value < min || value > max))
		return err_msg(err, EINVAL, "option --%s: from %ld to %ld", option, min, max);
	if (value)
		*field = (unsigned int)value;
	return 0;
}

static int create(struct runtime *runtime, struct settings *settings, const struct template_options *options, struct err *err)
{
	if (set(&settings->memory_mib, "memory", options->memory_mib, VM_MEMORY_MIN_MIB, MEMORY_MAX_MIB, err) < 0 ||
	    set(&settings->vcpus, "vcpus", options->vcpus, 1, sysconf(_SC_NPROCESSORS_ONLN), err) < 0)
		return -err->code;
	return template_create(runtime, settings, err);
}

static void print(void *ctx, const struct vm_size *size, uint64_t bytes)
{
	(void)ctx;
	printf("%10u %6u %13" PRIu64 "\n", size->memory_mib, size->vcpus, bytes >> 20);
}

static int list(struct runtime *runtime, struct settings *settings, const struct template_options *options, struct err *err)
{
	(void)runtime;
	(void)options;
	printf("MEMORY/MIB  VCPUS  TEMPLATE/MIB\n");
	return template_list(settings->template_dir, print, NULL, err);
}

static int remove_all(struct runtime *runtime, struct settings *settings, const struct template_options *options,
		      struct err *err)
{
	(void)runtime;
	(void)options;
	return template_remove_all(settings->template_dir, err);
}

static const struct {
	const char *name;
	int (*run)(struct runtime *runtime, struct settings *settings, const struct template_options *options,
		   struct err *err);
} actions[] = { { "create", create }, { "list", list }, { "remove", remove_all } };

int cmd_template(struct runtime *runtime, int argc, char **argv)
{
	struct template_options options = { 0 };
	struct settings settings;
	struct err err;
	int first = command_parse(&template_command, &options, argc, argv, &err);

	if (first == COMMAND_HELP_SHOWN)
		return 0;
	if (first < 0 || settings_load(&settings, runtime->config_path, &err) < 0)
		return runtime_fail(&err, 1);
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		if (!strcmp(actions[i].name, argv[first]))
			return actions[i].run(runtime, &settings, &options, &err) < 0 ? runtime_fail(&err, 1) : 0;
	err_msg(&err, EINVAL, "usage: cella %s", template_command.usage);
	return runtime_fail(&err, 1);
}
