/* SPDX-License-Identifier: Apache-2.0 */
/* cella update: other limits for a container that runs. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/proto/agent.pb-c.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/json.h"
#include "runtime/agent_client.h"
#include "runtime/command.h"
#include "runtime/host_cgroup.h"
#include "runtime/settings.h"
#include "runtime/vm.h"
#include "runtime/vm_control.h"

#define RESOURCES_MAX (1 << 20)

struct update_options {
	const char *resources;
	const char *blkio_weight, *cpu_period, *cpu_quota, *cpu_burst, *cpu_shares, *cpu_idle, *cpuset_cpus, *cpuset_mems;
	const char *memory, *memory_reservation, *memory_swap, *kernel_memory, *pids_limit;
	const char *cpu_rt_period, *cpu_rt_runtime, *l3_cache_schema, *mem_bw_schema;
};

#define STRING(name_, field, help_) { name_, 0, OPTION_STRING, offsetof(struct update_options, field), help_ }

static const struct option update_options[] = {
	{ "resources", 'r', OPTION_STRING, offsetof(struct update_options, resources), "file with a linux.resources object, - for standard input" },
	STRING("memory", memory, "bytes, or with K, M, G; -1: no limit"),
	STRING("memory-reservation", memory_reservation, "bytes that are not reclaimed"),
	STRING("memory-swap", memory_swap, "memory and swap together; -1: no limit"),
	STRING("cpu-shares", cpu_shares, "weight, 2 to 262144"),
	STRING("cpu-share", cpu_shares, NULL),
	STRING("cpu-quota", cpu_quota, "microseconds in each period; -1: no limit"),
	STRING("cpu-period", cpu_period, "microseconds"),
	STRING("cpu-burst", cpu_burst, "microseconds"),
	STRING("cpu-idle", cpu_idle, "1: only when nobody else wants the CPU"),
	STRING("cpuset-cpus", cpuset_cpus, "the host's CPUs that the VM may use, such as 0-2,4"),
	STRING("cpuset-mems", cpuset_mems, "the host's memory nodes"),
	STRING("pids-limit", pids_limit, "processes; -1: no limit"),
	STRING("blkio-weight", blkio_weight, "10 to 1000"),
	STRING("kernel-memory", kernel_memory, NULL),
	STRING("cpu-rt-period", cpu_rt_period, NULL),
	STRING("cpu-rt-runtime", cpu_rt_runtime, NULL),
	STRING("l3-cache-schema", l3_cache_schema, NULL),
	STRING("mem-bw-schema", mem_bw_schema, NULL),
};
static const struct command update_command = { "update [OPTION]... ID", update_options, ARRAY_SIZE(update_options), 1, 1 };

/* Which option becomes which number of linux.resources. */
static const struct {
	size_t offset;
	const char *option, *section, *field;
	bool bytes; /* may have a suffix */
} numbers[] = {
	{ offsetof(struct update_options, memory), "memory", "memory", "limit", true },
	{ offsetof(struct update_options, memory_reservation), "memory-reservation", "memory", "reservation", true },
	{ offsetof(struct update_options, memory_swap), "memory-swap", "memory", "swap", true },
	{ offsetof(struct update_options, cpu_shares), "cpu-shares", "cpu", "shares", false },
	{ offsetof(struct update_options, cpu_quota), "cpu-quota", "cpu", "quota", false },
	{ offsetof(struct update_options, cpu_period), "cpu-period", "cpu", "period", false },
	{ offsetof(struct update_options, cpu_burst), "cpu-burst", "cpu", "burst", false },
	{ offsetof(struct update_options, cpu_idle), "cpu-idle", "cpu", "idle", false },
	{ offsetof(struct update_options, pids_limit), "pids-limit", "pids", "limit", false },
	{ offsetof(struct update_options, blkio_weight), "blkio-weight", "blockIO", "weight", false },
};

/* What cgroup v2 or a VM does not have. kernel-memory is ignored by runc and crun as well, since the kernel dropped it. */
static int refuse(const struct update_options *options, struct err *err)
{
	if (options->cpu_rt_period || options->cpu_rt_runtime)
		return err_msg(err, ENOTSUP, "options --cpu-rt-period and --cpu-rt-runtime: cgroup v2 has no realtime limits");
	if (options->l3_cache_schema || options->mem_bw_schema)
		return err_msg(err, ENOTSUP, "options --l3-cache-schema and --mem-bw-schema are not supported");
	return 0;
}

static json_t *section_of(json_t *resources, const char *name)
{
	json_t *section = json_object_get(resources, name);

	if (!section) {
		section = json_object();
		json_object_set_new(resources, name, section);
	}
	return section;
}

static int parse_number(const char *option, const char *text, bool bytes, int64_t *ret, struct err *err)
{
	static const char suffixes[] = "kmgt";
	const char *suffix;
	char *end;

	errno = 0;
	*ret = strtoll(text, &end, 10);
	if (bytes && *end && !end[1] && (suffix = strchr(suffixes, *end | 0x20))) {
		if (__builtin_mul_overflow(*ret, INT64_C(1) << 10 * (suffix - suffixes + 1), ret))
			errno = ERANGE;
		end++;
	}
	if (errno || end == text || *end)
		return err_msg(err, EINVAL, "option --%s: '%s' is not a number", option, text);
	return 0;
}

static json_t *resources_from_options(const struct update_options *options, struct err *err)
{
	json_t *resources = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		const char *text = *(const char *const *)((const char *)options + numbers[i].offset);
		int64_t value;

		if (!text)
			continue;
		if (parse_number(numbers[i].option, text, numbers[i].bytes, &value, err) < 0) {
			json_decref(resources);
			return NULL;
		}
		json_object_set_new(section_of(resources, numbers[i].section), numbers[i].field, json_integer(value));
	}
	if (options->cpuset_cpus)
		json_object_set_new(section_of(resources, "cpu"), "cpus", json_string(options->cpuset_cpus));
	if (options->cpuset_mems)
		json_object_set_new(section_of(resources, "cpu"), "mems", json_string(options->cpuset_mems));
	return resources;
}

static json_t *resources_from_file(const char *path, struct err *err)
{
	size_t len;
	auto_free char *text = io_read_file(AT_FDCWD, strcmp(path, "-") ? path : "/dev/stdin", RESOURCES_MAX, &len, err);

	return text ? json_parse_object(text, len, path, err) : NULL;
}

/* What the VM has to be able to hold: the new limit, and what it has already. */
static int vm_memory(const struct runtime *runtime, const struct state *state, const json_t *resources,
		     unsigned int *ret_mib, struct err *err)
{
	struct settings settings;
	unsigned int wanted;

	if (settings_load(&settings, runtime->config_path, err) < 0 || vm_control_get_memory(state->vm_dir, ret_mib, err) < 0)
		return -err->code;
	wanted = vm_memory_mib(&settings, resources);
	if (json_get_integer(json_object_get(resources, "memory"), "limit", 0) > 0 && wanted > *ret_mib)
		*ret_mib = wanted;
	return 0;
}

static int update_guest(const struct state *state, const json_t *resources, struct err *err)
{
	Cella__Agent__UpdateContainerRequest request = CELLA__AGENT__UPDATE_CONTAINER_REQUEST__INIT;
	auto_free char *text = json_dumps(resources, JSON_COMPACT);

	if (!text)
		return err_set(err, ENOMEM, "update");
	request.id = (char *)state->id;
	request.resources.data = (uint8_t *)text;
	request.resources.len = strlen(text);
	return agent_call_once(state->vm_dir, "UpdateContainer", &request.base, &cella__agent__empty__descriptor, NULL, err);
}

static int update(const struct runtime *runtime, const struct state *state, const json_t *resources, struct err *err)
{
	struct host_cgroup cgroup;
	unsigned int memory;

	if (state->status == STATUS_STOPPED || state->status == STATUS_CREATING)
		return err_msg(err, EINVAL, "cannot update a container that is %s", status_names[state->status]);
	if (vm_memory(runtime, state, resources, &memory, err) < 0 || host_cgroup_load(&cgroup, state->dirfd, err) < 0 ||
	    host_cgroup_update(&cgroup, resources, memory, err) < 0)
		return -err->code;
	return update_guest(state, resources, err);
}

int cmd_update(struct runtime *runtime, int argc, char **argv)
{
	struct update_options options = { 0 };
	json_t *resources = NULL;
	struct state state;
	struct err err;
	int first = command_parse(&update_command, &options, argc, argv, &err), ret;

	if (first == COMMAND_HELP_SHOWN)
		return 0;
	if (first < 0 || refuse(&options, &err) < 0 || command_open(runtime, argv[first], &state, &err) < 0)
		return runtime_fail(&err, 1);
	resources = options.resources ? resources_from_file(options.resources, &err) : resources_from_options(&options, &err);
	ret = resources ? update(runtime, &state, resources, &err) : -err.code;
	json_decref(resources);
	state_close(&state);
	return ret < 0 ? runtime_fail(&err, 1) : 0;
}
