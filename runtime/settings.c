/* SPDX-License-Identifier: Apache-2.0 */
/* cella.conf. */
#include "runtime/settings.h"

#include <errno.h>
#include <ini.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/rootless.h"

struct key {
	const char *section, *name;
	size_t offset;
	size_t size;		   /* of a string; 0: a number */
	unsigned int min, max;
};

#define STRING(section_, name_, field) \
	{ section_, name_, offsetof(struct settings, field), sizeof(((struct settings *)0)->field), 0, 0 }
#define NUMBER(section_, name_, field, min_, max_) { section_, name_, offsetof(struct settings, field), 0, min_, max_ }

static const struct key keys[] = {
	STRING("paths", "guest_dir", guest_dir),
	STRING("paths", "guest_key", guest_key),
	STRING("paths", "libexec_dir", libexec_dir),
	STRING("paths", "template_dir", template_dir),
	NUMBER("vm", "memory_mib", memory_mib, 64, 1 << 20),
	NUMBER("vm", "memory_max_mib", memory_max_mib, 0, 1 << 20),
	NUMBER("vm", "overhead_mib", overhead_mib, 0, 1 << 16),
	NUMBER("vm", "vcpus", vcpus, 1, 32),
	NUMBER("vm", "boot_timeout_s", boot_timeout_s, 1, 3600),
	NUMBER("vm", "network_mbit", network_mbit, 0, 1 << 20),
	STRING("vm", "kernel_parameters", kernel_parameters),
	STRING("vm", "spec_images", spec_images),
	NUMBER("vm", "spec_parameters", spec_parameters, 0, 1),
};

struct parse {
	struct settings *settings;
	struct err *err;
	const char *path;
	bool failed;
};

static int set(struct parse *parse, const struct key *key, const char *value)
{
	char *field = (char *)parse->settings + key->offset;
	unsigned long number;
	char *end;

	if (key->size) {
		if (strlen(value) >= key->size)
			return err_msg(parse->err, EINVAL, "%s: %s.%s: too long", parse->path, key->section, key->name);
		strcpy(field, value);
		return 0;
	}
	errno = 0;
	number = strtoul(value, &end, 10);
	if (errno || *end || end == value || number < key->min || number > key->max)
		return err_msg(parse->err, EINVAL, "%s: %s.%s: '%s' is not a number from %u to %u", parse->path,
			       key->section, key->name, value, key->min, key->max);
	*(unsigned int *)field = (unsigned int)number;
	return 0;
}

static int handle(void *ctx, const char *section, const char *name, const char *value)
{
	struct parse *parse = ctx;

	if (parse->failed)
		return 1;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (!strcmp(keys[i].section, section) && !strcmp(keys[i].name, name)) {
			parse->failed = set(parse, &keys[i], value) < 0;
			return 1;
		}
	err_msg(parse->err, EINVAL, "%s: unknown key %s.%s", parse->path, section, name);
	parse->failed = true;
	return 1;
}

int settings_load(struct settings *settings, const char *path, struct err *err)
{
	struct parse parse = { .settings = settings, .err = err, .path = path };
	int line;

	*settings = (struct settings){
		.guest_dir = CELLA_LIBDIR,
		.guest_key = "/etc/cella/guest.pub",
		.libexec_dir = CELLA_LIBDIR,
		.memory_mib = 256,
		.overhead_mib = 64,
		.vcpus = 1,
		.boot_timeout_s = 60,
	};
	snprintf(settings->template_dir, sizeof(settings->template_dir), "%s/.template", runtime_default_root());
	if (access(path, F_OK) < 0 && errno == ENOENT)
		return 0;
	line = ini_parse(path, handle, &parse);
	if (line)
		return err_msg(err, EINVAL, "%s: line %d: not an INI line", path, line);
	return parse.failed ? -err->code : 0;
}
