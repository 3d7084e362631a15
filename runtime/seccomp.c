/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp profiles: config-linux.md, "Seccomp", through libseccomp. */
#include "runtime/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/json.h"

#define PROGRAM_MAX (1 << 20)
#define ARGS_MAX 6

static const struct {
	const char *name;
	uint32_t action;
	bool takes_errno;
} actions[] = {
	{ "SCMP_ACT_ALLOW", SCMP_ACT_ALLOW, false },
	{ "SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0), true },
	{ "SCMP_ACT_KILL", SCMP_ACT_KILL, false },
	{ "SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD, false },
	{ "SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS, false },
	{ "SCMP_ACT_TRAP", SCMP_ACT_TRAP, false },
	{ "SCMP_ACT_TRACE", SCMP_ACT_TRACE(0), true },
	{ "SCMP_ACT_LOG", SCMP_ACT_LOG, false },
};

static const struct {
	const char *name;
	enum scmp_compare compare;
} operators[] = {
	{ "SCMP_CMP_NE", SCMP_CMP_NE }, { "SCMP_CMP_LT", SCMP_CMP_LT }, { "SCMP_CMP_LE", SCMP_CMP_LE },
	{ "SCMP_CMP_EQ", SCMP_CMP_EQ }, { "SCMP_CMP_GE", SCMP_CMP_GE }, { "SCMP_CMP_GT", SCMP_CMP_GT },
	{ "SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ },
};

static const struct {
	const char *name;
	uint32_t flag;
} flags[] = {
	{ "SECCOMP_FILTER_FLAG_TSYNC", 0 }, /* the process has one thread when the filter is loaded */
	{ "SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG },
	{ "SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW },
};

static int find_action(const char *name, const json_t *errno_value, uint32_t *ret, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		if (strcmp(actions[i].name, name))
			continue;
		*ret = actions[i].action;
		if (actions[i].takes_errno)
			*ret |= (uint32_t)(json_is_integer(errno_value) ? json_integer_value(errno_value) : EPERM) & 0xffff;
		return 0;
	}
	if (!strcmp(name, "SCMP_ACT_NOTIFY"))
		return err_msg(err, ENOTSUP, "linux.seccomp: SCMP_ACT_NOTIFY: a host process cannot serve a guest's filter");
	return err_msg(err, EINVAL, "linux.seccomp: unknown action '%s'", name);
}

/* The guest's kernel runs the host's architecture, with its 32-bit variants. Others in the list mean nothing here. */
static int add_architectures(scmp_filter_ctx filter, const json_t *list, struct err *err)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry) {
		const char *name = json_is_string(entry) ? json_string_value(entry) : "";
		char lower[32];
		uint32_t arch;
		size_t n;

		if (strncmp(name, "SCMP_ARCH_", 10) || strlen(name + 10) >= sizeof(lower))
			return err_msg(err, EINVAL, "linux.seccomp.architectures[%zu]: unknown architecture '%s'", i, name);
		for (n = 0; name[10 + n]; n++)
			lower[n] = (char)(name[10 + n] | 0x20);
		lower[n] = '\0';
		/* '_' has the bit set already in x86_64, but 0x5f | 0x20 is 0x7f: put it back. */
		for (n = 0; lower[n]; n++)
			if (lower[n] == 0x7f)
				lower[n] = '_';
		arch = seccomp_arch_resolve_name(lower);
		if (!arch)
			return err_msg(err, EINVAL, "linux.seccomp.architectures[%zu]: unknown architecture '%s'", i, name);
		if (arch != SCMP_ARCH_X86_64 && arch != SCMP_ARCH_X86 && arch != SCMP_ARCH_X32)
			continue;
		if (seccomp_arch_exist(filter, arch) == -EEXIST && seccomp_arch_add(filter, arch) < 0)
			return err_msg(err, EINVAL, "linux.seccomp.architectures[%zu]: cannot add '%s'", i, name);
	}
	return 0;
}

static int read_comparison(const json_t *arg, struct scmp_arg_cmp *ret, const char *where, struct err *err)
{
	const char *op = json_get_string(arg, "op", "");
	int64_t index = json_get_integer(arg, "index", -1);

	for (size_t i = 0; i < ARRAY_SIZE(operators); i++) {
		uint64_t value = (uint64_t)json_get_integer(arg, "value", 0);
		uint64_t second = (uint64_t)json_get_integer(arg, "valueTwo", 0);

		if (strcmp(operators[i].name, op))
			continue;
		if (index < 0 || index >= ARGS_MAX)
			return err_msg(err, EINVAL, "%s.index: expected 0 to %d", where, ARGS_MAX - 1);
		/* MASKED_EQ: value is the mask, valueTwo what the masked argument must be. */
		*ret = (struct scmp_arg_cmp){ (unsigned int)index, operators[i].compare, value, second };
		return 0;
	}
	return err_msg(err, EINVAL, "%s.op: unknown operator '%s'", where, op);
}

static int add_rule(scmp_filter_ctx filter, const json_t *rule, size_t number, uint32_t default_action, struct err *err)
{
	const json_t *names = json_object_get(rule, "names"), *name, *args = json_object_get(rule, "args");
	struct scmp_arg_cmp comparisons[ARGS_MAX];
	uint32_t action;
	char where[64];
	size_t i, n = json_array_size(args);

	snprintf(where, sizeof(where), "linux.seccomp.syscalls[%zu]", number);
	if (find_action(json_get_string(rule, "action", ""), json_object_get(rule, "errnoRet"), &action, err) < 0)
		return err_wrap(err, "%s", where);
	if (action == default_action)
		return 0;
	if (n > ARGS_MAX)
		return err_msg(err, EINVAL, "%s.args: more than %d", where, ARGS_MAX);
	for (i = 0; i < n; i++) {
		snprintf(where, sizeof(where), "linux.seccomp.syscalls[%zu].args[%zu]", number, i);
		if (read_comparison(json_array_get(args, i), &comparisons[i], where, err) < 0)
			return -err->code;
	}
	json_array_foreach(names, i, name) {
		int syscall_number = seccomp_syscall_resolve_name(json_is_string(name) ? json_string_value(name) : "");
		int ret;

		/* A name of another architecture or a newer kernel: cannot be called here (as runc and crun). */
		if (syscall_number == __NR_SCMP_ERROR)
			continue;
		ret = seccomp_rule_add_array(filter, action, syscall_number, (unsigned int)n, comparisons);
		if (ret < 0 && ret != -EEXIST)
			return err_set(err, -ret, "linux.seccomp.syscalls[%zu]: %s", number, json_string_value(name));
	}
	return 0;
}

static int build(const json_t *seccomp, scmp_filter_ctx *ret_filter, struct err *err)
{
	const json_t *rules = json_object_get(seccomp, "syscalls"), *rule;
	uint32_t default_action;
	size_t i;

	if (find_action(json_get_string(seccomp, "defaultAction", ""), json_object_get(seccomp, "defaultErrnoRet"),
			&default_action, err) < 0)
		return -err->code;
	*ret_filter = seccomp_init(default_action);
	if (!*ret_filter)
		return err_set(err, ENOMEM, "linux.seccomp");
	seccomp_attr_set(*ret_filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (add_architectures(*ret_filter, json_object_get(seccomp, "architectures"), err) < 0)
		return -err->code;
	json_array_foreach(rules, i, rule)
		if (add_rule(*ret_filter, rule, i, default_action, err) < 0)
			return -err->code;
	return 0;
}

static int read_flags(const json_t *list, uint32_t *ret, struct err *err)
{
	const json_t *entry;
	size_t i, k;

	json_array_foreach(list, i, entry) {
		const char *name = json_is_string(entry) ? json_string_value(entry) : "";

		for (k = 0; k < ARRAY_SIZE(flags) && strcmp(flags[k].name, name); k++)
			;
		if (k == ARRAY_SIZE(flags))
			return err_msg(err, ENOTSUP, "linux.seccomp.flags[%zu]: '%s' is not supported", i, name);
		*ret |= flags[k].flag;
	}
	return 0;
}

static int export_program(scmp_filter_ctx filter, struct seccomp_program *program, struct err *err)
{
	auto_fd fd = memfd_create("seccomp", MFD_CLOEXEC);
	struct stat st;
	int ret = fd < 0 ? -errno : seccomp_export_bpf(filter, fd);

	if (ret == 0 && fstat(fd, &st) < 0)
		ret = -errno;
	if (ret < 0)
		return err_set(err, -ret, "linux.seccomp: compile");
	program->len = (size_t)st.st_size;
	program->code = malloc(program->len + 1);
	if (!program->code)
		return err_set(err, ENOMEM, "linux.seccomp");
	if (pread(fd, program->code, program->len, 0) != (ssize_t)program->len)
		return err_set(err, EIO, "linux.seccomp: read the program");
	return 0;
}

/* FNV-1a, twice with different starts: names a cache file; what is in it starts with the profile itself. */
static void cache_name(char *out, size_t size, const char *root, const char *text)
{
	uint64_t a = 0xcbf29ce484222325ULL, b = 0x9e3779b97f4a7c15ULL;

	for (const char *c = text; *c; c++) {
		a = (a ^ (unsigned char)*c) * 0x100000001b3ULL;
		b = (b ^ (unsigned char)*c) * 0x100000001b3ULL;
	}
	snprintf(out, size, "%s/.seccomp/%016llx%016llx", root, (unsigned long long)a, (unsigned long long)b);
}

/* A cache file: the profile, NUL, the program. The profile is compared, so that no collision matters. */
static bool read_cache(const char *path, const char *text, struct seccomp_program *program)
{
	size_t len, prefix = strlen(text) + 1;
	struct err err;
	auto_free char *file = io_read_file(AT_FDCWD, path, PROGRAM_MAX * 2, &len, &err);

	if (!file || len <= prefix || memcmp(file, text, prefix) || (len - prefix) % 8)
		return false;
	program->len = len - prefix;
	program->code = malloc(program->len);
	if (program->code)
		memcpy(program->code, file + prefix, program->len);
	return program->code != NULL;
}

static void write_cache(const char *root, const char *path, const char *text, const struct seccomp_program *program)
{
	size_t prefix = strlen(text) + 1;
	auto_free char *file = malloc(prefix + program->len);
	char directory[4096];
	struct err err;

	snprintf(directory, sizeof(directory), "%s/.seccomp", root);
	if (!file || io_mkdir_parents(AT_FDCWD, directory, 0700, &err) < 0)
		return; /* only a cache */
	memcpy(file, text, prefix);
	memcpy(file + prefix, program->code, program->len);
	if (io_replace_file(AT_FDCWD, path, file, prefix + program->len, 0600, &err) < 0)
		return;
}

int seccomp_compile(const json_t *seccomp, const char *root, struct seccomp_program *program, struct err *err)
{
	scmp_filter_ctx filter = NULL;
	auto_free char *text = NULL;
	char path[4096];
	int ret;

	*program = (struct seccomp_program){ 0 };
	if (!seccomp)
		return 0;
	if (read_flags(json_object_get(seccomp, "flags"), &program->flags, err) < 0)
		return -err->code;
	text = json_dumps(seccomp, JSON_COMPACT);
	if (!text)
		return err_set(err, ENOMEM, "linux.seccomp");
	cache_name(path, sizeof(path), root, text);
	if (read_cache(path, text, program))
		return 0;
	ret = build(seccomp, &filter, err);
	if (ret == 0)
		ret = export_program(filter, program, err);
	if (filter)
		seccomp_release(filter);
	if (ret == 0)
		write_cache(root, path, text, program);
	return ret;
}
