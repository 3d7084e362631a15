/* SPDX-License-Identifier: Apache-2.0 */
/* config.json. The checks are a table of fields, then what a table cannot say. */
#include "runtime/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/capability.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/mount_options.h"
#include "lib/rlimit.h"
#include "runtime/disks.h"

struct field {
	const char *parent; /* dotted path of objects; "" for the top */
	const char *name;
	json_type type;
	bool required;
	json_type elements; /* of an array; JSON_NULL: not checked here */
};

static const struct field fields[] = {
	{ "", "hooks", JSON_OBJECT, false, JSON_NULL },
	{ "", "ociVersion", JSON_STRING, true, JSON_NULL },
	{ "", "root", JSON_OBJECT, true, JSON_NULL },
	{ "root", "path", JSON_STRING, true, JSON_NULL },
	{ "root", "readonly", JSON_TRUE, false, JSON_NULL },
	{ "", "process", JSON_OBJECT, true, JSON_NULL },
	{ "", "hostname", JSON_STRING, false, JSON_NULL },
	{ "", "domainname", JSON_STRING, false, JSON_NULL },
	{ "", "annotations", JSON_OBJECT, false, JSON_NULL },
	{ "", "mounts", JSON_ARRAY, false, JSON_OBJECT },
	{ "", "linux", JSON_OBJECT, false, JSON_NULL },
	{ "linux", "namespaces", JSON_ARRAY, false, JSON_OBJECT },
	{ "linux", "devices", JSON_ARRAY, false, JSON_OBJECT },
	{ "linux", "uidMappings", JSON_ARRAY, false, JSON_OBJECT },
	{ "linux", "gidMappings", JSON_ARRAY, false, JSON_OBJECT },
	{ "linux", "sysctl", JSON_OBJECT, false, JSON_NULL },
	{ "linux", "cgroupsPath", JSON_STRING, false, JSON_NULL },
	{ "linux", "rootfsPropagation", JSON_STRING, false, JSON_NULL },
	{ "linux", "maskedPaths", JSON_ARRAY, false, JSON_STRING },
	{ "linux", "readonlyPaths", JSON_ARRAY, false, JSON_STRING },
	{ "", "vm", JSON_OBJECT, false, JSON_NULL },
	{ "vm", "kernel", JSON_OBJECT, false, JSON_NULL },
	{ "vm.kernel", "path", JSON_STRING, false, JSON_NULL },
	{ "vm.kernel", "initrd", JSON_STRING, false, JSON_NULL },
	{ "vm.kernel", "parameters", JSON_ARRAY, false, JSON_STRING },
	{ "linux", "seccomp", JSON_OBJECT, false, JSON_NULL },
	{ "linux", "timeOffsets", JSON_OBJECT, false, JSON_NULL },
	{ "linux", "personality", JSON_OBJECT, false, JSON_NULL },
	{ "linux", "resources", JSON_OBJECT, false, JSON_NULL },
	{ "linux.resources", "devices", JSON_ARRAY, false, JSON_OBJECT },
	{ "linux.resources", "memory", JSON_OBJECT, false, JSON_NULL },
	{ "linux.resources", "cpu", JSON_OBJECT, false, JSON_NULL },
	{ "linux.resources", "pids", JSON_OBJECT, false, JSON_NULL },
	{ "linux.resources", "blockIO", JSON_OBJECT, false, JSON_NULL },
	{ "linux.resources", "hugepageLimits", JSON_ARRAY, false, JSON_OBJECT },
	{ "linux.resources", "unified", JSON_OBJECT, false, JSON_NULL },
	{ "linux.resources.memory", "limit", JSON_INTEGER, false, JSON_NULL },
	{ "linux.resources.memory", "swap", JSON_INTEGER, false, JSON_NULL },
	{ "linux.resources.memory", "reservation", JSON_INTEGER, false, JSON_NULL },
	{ "linux.resources.cpu", "shares", JSON_INTEGER, false, JSON_NULL },
	{ "linux.resources.cpu", "quota", JSON_INTEGER, false, JSON_NULL },
	{ "linux.resources.cpu", "period", JSON_INTEGER, false, JSON_NULL },
	{ "linux.resources.cpu", "cpus", JSON_STRING, false, JSON_NULL },
	{ "linux.resources.cpu", "mems", JSON_STRING, false, JSON_NULL },
	{ "linux.resources.pids", "limit", JSON_INTEGER, false, JSON_NULL },
};

static const struct field process_fields[] = {
	{ "", "args", JSON_ARRAY, true, JSON_STRING },
	{ "", "cwd", JSON_STRING, true, JSON_NULL },
	{ "", "env", JSON_ARRAY, false, JSON_STRING },
	{ "", "terminal", JSON_TRUE, false, JSON_NULL },
	{ "", "consoleSize", JSON_OBJECT, false, JSON_NULL },
	{ "consoleSize", "height", JSON_INTEGER, true, JSON_NULL },
	{ "consoleSize", "width", JSON_INTEGER, true, JSON_NULL },
	{ "", "user", JSON_OBJECT, false, JSON_NULL },
	{ "user", "uid", JSON_INTEGER, false, JSON_NULL },
	{ "user", "gid", JSON_INTEGER, false, JSON_NULL },
	{ "user", "umask", JSON_INTEGER, false, JSON_NULL },
	{ "user", "additionalGids", JSON_ARRAY, false, JSON_INTEGER },
	{ "", "capabilities", JSON_OBJECT, false, JSON_NULL },
	{ "capabilities", "bounding", JSON_ARRAY, false, JSON_STRING },
	{ "capabilities", "effective", JSON_ARRAY, false, JSON_STRING },
	{ "capabilities", "permitted", JSON_ARRAY, false, JSON_STRING },
	{ "capabilities", "inheritable", JSON_ARRAY, false, JSON_STRING },
	{ "capabilities", "ambient", JSON_ARRAY, false, JSON_STRING },
	{ "", "rlimits", JSON_ARRAY, false, JSON_OBJECT },
	{ "", "noNewPrivileges", JSON_TRUE, false, JSON_NULL },
	{ "", "oomScoreAdj", JSON_INTEGER, false, JSON_NULL },
	{ "", "scheduler", JSON_OBJECT, false, JSON_NULL },
	{ "", "ioPriority", JSON_OBJECT, false, JSON_NULL },
};

/* The object at a dotted path, or NULL. */
static const json_t *find_object(const json_t *root, const char *path)
{
	while (root && *path) {
		char name[64];
		size_t n = strcspn(path, ".");

		memcpy(name, path, n);
		name[n] = '\0';
		root = json_object_get(root, name);
		path += n + (path[n] == '.');
	}
	return root;
}

static int check_elements(const json_t *array, const char *where, const struct field *field, struct err *err)
{
	const json_t *element;
	size_t i;

	json_array_foreach(array, i, element)
		if (json_typeof(element) != field->elements)
			return err_msg(err, EINVAL, "%s%s%s[%zu]: expected %s", where, *where ? "." : "", field->name, i,
				       field->elements == JSON_STRING ? "a string" :
				       field->elements == JSON_INTEGER ? "a number" : "an object");
	return 0;
}

static int check_fields(const json_t *root, const char *where, const struct field *table, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		const json_t *parent = find_object(root, table[i].parent);
		char path[160];
		json_t *value;

		snprintf(path, sizeof(path), "%s%s%s", where, *where && *table[i].parent ? "." : "", table[i].parent);
		if (!parent || !json_is_object(parent))
			continue;
		if (json_field(parent, path, table[i].name, table[i].type, table[i].required, &value, err) < 0)
			return -err->code;
		if (value && table[i].elements != JSON_NULL && check_elements(value, path, &table[i], err) < 0)
			return -err->code;
	}
	return 0;
}

static int check_rlimits(const json_t *limits, const char *where, struct err *err)
{
	unsigned int seen = 0;
	const json_t *limit;
	size_t i;

	json_array_foreach(limits, i, limit) {
		const char *type = json_get_string(limit, "type", "");
		int number = rlimit_number(type);
		rlim_t soft = rlimit_value(json_object_get(limit, "soft")), hard = rlimit_value(json_object_get(limit, "hard"));

		if (number < 0)
			return err_msg(err, EINVAL, "%s.rlimits[%zu].type: unknown limit '%s'", where, i, type);
		if (seen >> number & 1)
			return err_msg(err, EINVAL, "%s.rlimits[%zu].type: %s is given twice", where, i, type);
		if (soft > hard)
			return err_msg(err, EINVAL, "%s.rlimits[%zu]: %s: soft limit above the hard limit", where, i, type);
		seen |= 1U << number;
	}
	return 0;
}

/* config.md, "Linux Process": unknown capabilities are a warning. */
static void warn_of_capabilities(const json_t *capabilities)
{
	const char *set;
	json_t *list, *entry;
	size_t i;

	json_object_foreach((json_t *)capabilities, set, list)
		json_array_foreach(list, i, entry)
			if (json_is_string(entry) && capability_number(json_string_value(entry)) < 0)
				log_debug("process.capabilities.%s: unknown '%s', ignoring", set, json_string_value(entry));
}

int spec_check_process(const json_t *process, const char *where, struct err *err)
{
	const json_t *score = json_object_get(process, "oomScoreAdj");
	const char *cwd;
	int ret = check_fields(process, where, process_fields, ARRAY_SIZE(process_fields), err);

	if (ret < 0)
		return ret;
	if (json_array_size(json_object_get(process, "args")) == 0)
		return err_msg(err, EINVAL, "%s.args: must not be empty", where);
	cwd = json_get_string(process, "cwd", "");
	if (*cwd != '/')
		return err_msg(err, EINVAL, "%s.cwd: '%s' is not an absolute path", where, cwd);
	if (score && (json_integer_value(score) < -1000 || json_integer_value(score) > 1000))
		return err_msg(err, EINVAL, "%s.oomScoreAdj: out of range, expected -1000 to 1000", where);
	warn_of_capabilities(json_object_get(process, "capabilities"));
	return check_rlimits(json_object_get(process, "rlimits"), where, err);
}

static int check_namespaces(const json_t *list, struct err *err)
{
	static const char *const known[] = { "pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time" };
	unsigned int seen = 0;
	const json_t *entry;
	size_t i, k;

	json_array_foreach(list, i, entry) {
		const char *type = json_get_string(entry, "type", "");
		const char *path = json_get_string(entry, "path", "/");

		for (k = 0; k < ARRAY_SIZE(known) && strcmp(known[k], type); k++)
			;
		if (k == ARRAY_SIZE(known))
			return err_msg(err, EINVAL, "linux.namespaces[%zu].type: unknown namespace '%s'", i, type);
		if (seen >> k & 1)
			return err_msg(err, EINVAL, "linux.namespaces[%zu].type: %s is given twice", i, type);
		if (*path != '/' && *path)
			return err_msg(err, EINVAL, "linux.namespaces[%zu].path: '%s' is not an absolute path", i, path);
		seen |= 1U << k;
	}
	if (!(seen >> 2 & 1))
		return err_msg(err, EINVAL, "linux.namespaces: a container needs a mount namespace");
	return 0;
}

/* config.md, "idmap": without mappings of its own a mount has the container's, if that has any. */
static int check_id_mapping(const json_t *config, const json_t *mount, const char *where, bool wanted, struct err *err)
{
	const json_t *linux_section = json_object_get(config, "linux");
	const json_t *uids = json_object_get(mount, "uidMappings"), *gids = json_object_get(mount, "gidMappings");
	json_t *value;

	if (!uids && !gids && !wanted)
		return 0;
	if (!mount_options_read(mount).bind || !strcmp(json_get_string(mount, "type", ""), "overlay"))
		return err_msg(err, ENOTSUP, "%s: only bind mounts can be id-mapped", where);
	if (json_field(mount, where, "uidMappings", JSON_ARRAY, gids != NULL, &value, err) < 0 ||
	    json_field(mount, where, "gidMappings", JSON_ARRAY, uids != NULL, &value, err) < 0)
		return -err->code;
	if (!uids && !json_array_size(json_object_get(linux_section, "uidMappings")))
		return err_msg(err, EINVAL, "%s: idmap without mappings, its own or the container's", where);
	return 0;
}

static int check_mounts(const json_t *config, struct err *err)
{
	const json_t *mounts = json_object_get(config, "mounts"), *mount, *option;
	size_t i, k;

	json_array_foreach(mounts, i, mount) {
		bool id_mapped = false;
		char where[32];
		json_t *value;

		snprintf(where, sizeof(where), "mounts[%zu]", i);
		if (json_field(mount, where, "destination", JSON_STRING, true, &value, err) < 0 ||
		    json_field(mount, where, "type", JSON_STRING, false, &value, err) < 0 ||
		    json_field(mount, where, "source", JSON_STRING, false, &value, err) < 0 ||
		    json_field(mount, where, "options", JSON_ARRAY, false, &value, err) < 0)
			return -err->code;
		json_array_foreach(value, k, option) {
			const char *text = json_string_value(option);

			if (!text)
				return err_msg(err, EINVAL, "%s.options[%zu]: expected a string", where, k);
			if (!strncmp(text, "idmap=", 6) || !strncmp(text, "ridmap=", 7))
				return err_msg(err, ENOTSUP, "%s.options: '%s': id mappings belong into uidMappings and gidMappings", where,
					       text);
			id_mapped |= !strcmp(text, "idmap") || !strcmp(text, "ridmap");
		}
		if (check_id_mapping(config, mount, where, id_mapped, err) < 0)
			return -err->code;
	}
	return 0;
}

static int check_hooks(const json_t *hooks, struct err *err)
{
	static const char *const kinds[] = { "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop" };
	static const struct field hook_fields[] = {
		{ "", "path", JSON_STRING, true, JSON_NULL },
		{ "", "args", JSON_ARRAY, false, JSON_STRING },
		{ "", "env", JSON_ARRAY, false, JSON_STRING },
		{ "", "timeout", JSON_INTEGER, false, JSON_NULL },
	};
	const json_t *hook;
	size_t i;

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		json_t *list;

		if (json_field(hooks, "hooks", kinds[k], JSON_ARRAY, false, &list, err) < 0)
			return -err->code;
		json_array_foreach(list, i, hook) {
			char where[64];

			snprintf(where, sizeof(where), "hooks.%s[%zu]", kinds[k], i);
			if (!json_is_object(hook))
				return err_msg(err, EINVAL, "%s: expected an object", where);
			if (check_fields(hook, where, hook_fields, ARRAY_SIZE(hook_fields), err) < 0)
				return -err->code;
			if (*json_get_string(hook, "path", "") != '/')
				return err_msg(err, EINVAL, "%s.path: not an absolute path", where);
			if (json_object_get(hook, "timeout") && json_get_integer(hook, "timeout", 0) <= 0)
				return err_msg(err, EINVAL, "%s.timeout: must be above 0", where);
		}
	}
	return 0;
}

/* Engines write zeros, "false" and empty things for what is not set. */
static bool is_unset(const json_t *value)
{
	switch (value ? json_typeof(value) : JSON_NULL) {
	case JSON_OBJECT:
		return json_object_size(value) == 0;
	case JSON_ARRAY:
		return json_array_size(value) == 0;
	case JSON_STRING:
		return json_string_length(value) == 0;
	case JSON_INTEGER:
		return json_integer_value(value) <= 0;
	case JSON_NULL:
	case JSON_FALSE:
		return true;
	default:
		return false;
	}
}

/* Known fields whose value needs what a VM does not have: refused, never ignored. */
static int check_unsupported(const json_t *config, struct err *err)
{
	static const struct {
		const char *parent, *name, *why;
	} refused[] = {
		{ "linux", "intelRdt", "the host's resctrl cannot be used for processes in a VM" },
		{ "linux", "netDevices", "network devices are not supported yet" },
		{ "linux", "memoryPolicy", "the guest has a single NUMA node" },
		{ "linux.resources", "rdma", "the guest has no RDMA devices" },
		{ "linux.resources.memory", "disableOOMKiller", "cgroup v2 has no such switch" },
		{ "linux.resources.memory", "swappiness", "cgroup v2 has no such limit" },
		{ "linux.resources.memory", "kernel", "cgroup v2 has no such limit" },
		{ "linux.resources.memory", "kernelTCP", "cgroup v2 has no such limit" },
		{ "linux.resources.cpu", "realtimeRuntime", "cgroup v2 has no such limit" },
		{ "linux.resources.cpu", "realtimePeriod", "cgroup v2 has no such limit" },
		{ "linux.seccomp", "listenerPath", "a process of the host cannot answer for a kernel of its own" },
		{ "process", "execCPUAffinity", "the guest's processors are not the host's" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		const json_t *parent = find_object(config, refused[i].parent);
		const json_t *value = parent ? json_object_get(parent, refused[i].name) : NULL;

		if (is_unset(value))
			continue;
		return err_msg(err, ENOTSUP, "%s%s%s: %s", refused[i].parent, *refused[i].parent ? "." : "", refused[i].name,
			       refused[i].why);
	}
	return 0;
}

/*
 * Known fields that name a security module of the host. Engines set them wherever the host has one, so they cannot be
 * refused; the guest's kernel has no such module, and what confines the VM is its jail.
 */
static void warn_of_no_effect(const json_t *object, const char *parent, const char *name)
{
	const char *value = json_get_string(object, name, "");

	if (*value)
		log_warn("%s.%s '%s' has no effect: the guest's kernel has no such security module", parent, name, value);
}

void spec_warn_of_labels(const json_t *process)
{
	warn_of_no_effect(process, "process", "apparmorProfile");
	warn_of_no_effect(process, "process", "selinuxLabel");
}

/* Device numbers that mean in the guest what they mean on the host (devices.txt of the kernel). */
static bool guest_has_device(const json_t *device)
{
	static const struct {
		char type;
		int major, minor; /* -1: any */
	} known[] = {
		{ 'c', 1, -1 },	  { 'c', 5, -1 },  { 'c', 136, -1 }, { 'c', 10, 200 /* net/tun */ },
		{ 'c', 10, 229 /* fuse */ }, { 'c', 10, 237 /* loop-control */ }, { 'b', 7, -1 /* loop */ },
	};
	const char *type = json_get_string(device, "type", "");
	int64_t major = json_get_integer(device, "major", -1), minor = json_get_integer(device, "minor", -1);

	if (*type == 'p')
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if ((*type == 'u' ? 'c' : *type) == known[i].type && major == known[i].major &&
		    (known[i].minor < 0 || minor == known[i].minor))
			return true;
	return false;
}

/* A privileged container is given every device of the host: its nodes are made, but most have nothing behind them here. */
static void warn_of_devices(const json_t *config)
{
	const json_t *list = json_object_get(json_object_get(config, "linux"), "devices"), *device;
	const char *first = NULL;
	size_t i, missing = 0;

	json_array_foreach(list, i, device) {
		if (guest_has_device(device) || disks_is_one(config, device))
			continue;
		if (!first)
			first = json_get_string(device, "path", "");
		missing++;
	}
	if (missing)
		log_warn("linux.devices: %zu devices of the host (%s is the first) cannot be opened in a VM", missing, first);
}

/* SemVer with major version 1. */
static int check_version(const json_t *config, struct err *err)
{
	const char *version = json_get_string(config, "ociVersion", "");
	unsigned int major, minor, patch;
	int n = 0;

	if (sscanf(version, "%u.%u.%u%n", &major, &minor, &patch, &n) != 3 || (version[n] && !strchr("-+", version[n])))
		return err_msg(err, EINVAL, "ociVersion: '%s' is not a version", version);
	if (major != 1)
		return err_msg(err, EINVAL, "ociVersion: '%s' is not supported, expected 1.x.y", version);
	return 0;
}

static int check(const json_t *config, struct err *err)
{
	const json_t *linux_section = json_object_get(config, "linux");
	int ret = check_fields(config, "", fields, ARRAY_SIZE(fields), err);

	if (ret == 0)
		ret = check_version(config, err);
	if (ret == 0)
		ret = spec_check_process(json_object_get(config, "process"), "process", err);
	if (ret == 0)
		ret = check_namespaces(json_object_get(linux_section, "namespaces"), err);
	if (ret == 0)
		ret = check_mounts(config, err);
	if (ret == 0 && json_object_get(config, "hooks"))
		ret = check_hooks(json_object_get(config, "hooks"), err);
	if (ret == 0)
		ret = check_unsupported(config, err);
	return ret;
}

json_t *spec_load(const char *bundle, const char *file, char **ret_text, size_t *ret_len, struct err *err)
{
	auto_fd dir = open(bundle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_free char *text = NULL;
	json_t *config;

	if (dir < 0) {
		err_set(err, errno, "open bundle %s", bundle);
		return NULL;
	}
	text = io_read_file(dir, file ? file : "config.json", SPEC_FILE_MAX, ret_len, err);
	if (!text) {
		err_wrap(err, "bundle %s", bundle);
		return NULL;
	}
	config = json_parse_object(text, *ret_len, "config.json", err);
	if (config && check(config, err) < 0) {
		err_wrap(err, "config.json");
		json_decref(config);
		return NULL;
	}
	if (config) {
		warn_of_devices(config);
		spec_warn_of_labels(json_object_get(config, "process"));
		warn_of_no_effect(json_object_get(config, "linux"), "linux", "mountLabel");
		*ret_text = ptr_take(&text);
	}
	return config;
}

/* Kept as text: it reads as what it writes. */
static const char template[] =
	"{\"ociVersion\":\"1.1.0\",\"process\":{\"terminal\":true,\"user\":{\"uid\":0,\"gid\":0},\"args\":[\"sh\"],"
	"\"env\":[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\",\"TERM=xterm\"],\"cwd\":\"/\","
	"\"capabilities\":{\"bounding\":[\"CAP_AUDIT_WRITE\",\"CAP_KILL\",\"CAP_NET_BIND_SERVICE\"],"
	"\"effective\":[\"CAP_AUDIT_WRITE\",\"CAP_KILL\",\"CAP_NET_BIND_SERVICE\"],"
	"\"permitted\":[\"CAP_AUDIT_WRITE\",\"CAP_KILL\",\"CAP_NET_BIND_SERVICE\"]},"
	"\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"hard\":1024,\"soft\":1024}],\"noNewPrivileges\":true},"
	"\"root\":{\"path\":\"rootfs\",\"readonly\":true},\"hostname\":\"cella\",\"mounts\":["
	"{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
	"{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\",\"options\":[\"nosuid\",\"strictatime\",\"mode=755\",\"size=65536k\"]},"
	"{\"destination\":\"/dev/pts\",\"type\":\"devpts\",\"source\":\"devpts\",\"options\":[\"nosuid\",\"noexec\",\"newinstance\",\"ptmxmode=0666\",\"mode=0620\",\"gid=5\"]},"
	"{\"destination\":\"/dev/shm\",\"type\":\"tmpfs\",\"source\":\"shm\",\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"mode=1777\",\"size=65536k\"]},"
	"{\"destination\":\"/dev/mqueue\",\"type\":\"mqueue\",\"source\":\"mqueue\",\"options\":[\"nosuid\",\"noexec\",\"nodev\"]},"
	"{\"destination\":\"/sys\",\"type\":\"sysfs\",\"source\":\"sysfs\",\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"ro\"]},"
	"{\"destination\":\"/sys/fs/cgroup\",\"type\":\"cgroup\",\"source\":\"cgroup\",\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"relatime\",\"ro\"]}],"
	"\"linux\":{\"resources\":{\"devices\":[{\"allow\":false,\"access\":\"rwm\"}]},"
	"\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"network\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},{\"type\":\"mount\"},{\"type\":\"cgroup\"}],"
	"\"maskedPaths\":[\"/proc/acpi\",\"/proc/asound\",\"/proc/kcore\",\"/proc/keys\",\"/proc/latency_stats\",\"/proc/timer_list\",\"/proc/timer_stats\",\"/proc/sched_debug\",\"/sys/firmware\",\"/proc/scsi\"],"
	"\"readonlyPaths\":[\"/proc/bus\",\"/proc/fs\",\"/proc/irq\",\"/proc/sys\",\"/proc/sysrq-trigger\"]}}";

bool spec_wants_new_namespace(const json_t *config, const char *type)
{
	const json_t *list = json_object_get(json_object_get(config, "linux"), "namespaces"), *entry;
	size_t i;

	json_array_foreach(list, i, entry)
		if (!strcmp(json_get_string(entry, "type", ""), type))
			return !*json_get_string(entry, "path", "");
	return false;
}

json_t *spec_template(void)
{
	return json_loadb(template, sizeof(template) - 1, 0, NULL);
}
