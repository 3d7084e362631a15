/* SPDX-License-Identifier: Apache-2.0 */
/* A container's cgroup on the host. */
#include "runtime/host_cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <linux/magic.h>
#include <unistd.h>

#include "lib/cgroup_limits.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/json.h"
#include "lib/log.h"
#include "runtime/rootless.h"

#define NOTE "cgroup.json"
#define NOTE_MAX 16384
#define REMOVE_TIMEOUT_MS 4000

/* What a VM needs beyond the guest's memory: page tables, the VMM, files that it reads ahead. Measured: 0.3 + n/512 MiB. */
#define VMM_MEMORY_MIB 32
/* Threads of a VMM with 32 vCPUs, and stand-ins of processes that were exec'd, beyond the guest's own pids. */
#define VMM_PIDS 128

/* What the host limits itself. Huge pages are the guest's. */
#define HOST_CONTROLLERS (CGROUP_CPU | CGROUP_CPUSET | CGROUP_MEMORY | CGROUP_PIDS | CGROUP_IO | CGROUP_OTHER)

static int save(const struct host_cgroup *host, int dirfd, struct err *err)
{
	json_t *note = json_pack("{s:s, s:s, s:b}", "path", host->cgroup.path, "unit", host->unit, "created", host->created);
	auto_free char *text = note ? json_dumps(note, JSON_COMPACT) : NULL;

	json_decref(note);
	return text ? io_replace_file(dirfd, NOTE, text, strlen(text), 0600, err) : err_set(err, ENOMEM, NOTE);
}

int host_cgroup_load(struct host_cgroup *host, int dirfd, struct err *err)
{
	size_t len;
	auto_free char *text = io_read_file(dirfd, NOTE, NOTE_MAX, &len, err);
	const char *path, *unit;
	json_t *note;

	memset(host, 0, sizeof(*host));
	if (!text)
		return err->code == ENOENT ? 0 : -err->code;
	note = json_parse_object(text, len, NOTE, err);
	if (!note)
		return -err->code;
	path = json_get_string(note, "path", "");
	unit = json_get_string(note, "unit", "");
	if (strlen(path) < sizeof(host->cgroup.path) && strlen(unit) < sizeof(host->unit)) {
		strcpy(host->cgroup.path, path);
		strcpy(host->unit, unit);
		host->created = json_get_bool(note, "created", false);
		host->managed = true;
	}
	json_decref(note);
	return 0;
}

/* unified's keys of memory and pids are limits of the container, which hold in the guest. */
static void drop_guest_keys(json_t *unified)
{
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe(unified, next, key, value)
		if (!strncmp(key, "memory.", 7) || !strncmp(key, "pids.", 5))
			json_object_del(unified, key);
}

/* Numbers of a spec may be as large as they like. */
static int64_t add(int64_t a, int64_t b)
{
	int64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/* The container's limits as those of the VM that holds it (new). */
static json_t *limits_of_vm(const json_t *resources, unsigned int vm_memory_mib)
{
	json_t *limits = json_deep_copy(resources), *memory = json_object_get(limits, "memory");
	json_t *pids = json_object_get(limits, "pids");
	int64_t limit = json_get_integer(memory, "limit", 0), swap = json_get_integer(memory, "swap", 0);
	int64_t of_vm = ((int64_t)vm_memory_mib + VMM_MEMORY_MIB) << 20;

	if (limit > 0) {
		json_object_set_new(memory, "limit", json_integer(of_vm));
		if (swap >= limit)
			json_object_set_new(memory, "swap", json_integer(add(of_vm, swap - limit)));
	}
	if (json_get_integer(pids, "limit", 0) > 0)
		json_object_set_new(pids, "limit", json_integer(add(json_get_integer(pids, "limit", 0), VMM_PIDS)));
	drop_guest_keys(json_object_get(limits, "unified"));
	return limits;
}

bool host_cgroup_is_v2(void)
{
	struct statfs fs;

	return statfs(CGROUP_ROOT, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

static int check_host(struct err *err)
{
	if (!host_cgroup_is_v2())
		return err_msg(err, ENOTSUP, "%s is not a cgroup2 file system: boot with systemd.unified_cgroup_hierarchy=1, or give --cgroup-manager=disabled",
			       CGROUP_ROOT);
	return 0;
}

static int create_by_systemd(struct host_cgroup *host, const char *path, const json_t *limits, const char *id, int dirfd,
			     pid_t vmm, struct err *err)
{
	host->created = true;
	if (scope_name(host->unit, path, id, err) < 0 || save(host, dirfd, err) < 0 ||
	    scope_start(host->unit, path, limits, vmm, &host->cgroup, err) < 0)
		return -err->code;
	return save(host, dirfd, err);
}

static int create_by_ourselves(struct host_cgroup *host, const char *path, const char *id, int dirfd, pid_t vmm, struct err *err)
{
	struct stat st;
	bool created;

	if (cgroup_name(&host->cgroup, path, id, err) < 0)
		return -err->code;
	host->created = stat(host->cgroup.path, &st) < 0;
	if (save(host, dirfd, err) < 0 || cgroup_create(&host->cgroup, &created, err) < 0)
		return -err->code;
	return cgroup_add_process(&host->cgroup, vmm, err);
}

static bool is_denied(const struct err *err)
{
	return err->code == EACCES || err->code == EPERM || err->code == EROFS;
}

/*
 * An ordinary user who was given no part of the hierarchy, as without a systemd session: other runtimes go on as well. The
 * container's limits hold in its VM; that none can hold on the host is said.
 */
static int do_without(struct host_cgroup *host, const json_t *limits, int dirfd, struct err *err)
{
	if (json_object_size(limits) > (json_object_get(limits, "devices") ? 1 : 0))
		log_warn("linux.resources: limits hold in the VM only: %s", err->msg);
	memset(host, 0, sizeof(*host));
	return unlinkat(dirfd, NOTE, 0) < 0 && errno != ENOENT ? err_set(err, errno, "remove " NOTE) : 0;
}

int host_cgroup_create(struct host_cgroup *host, const struct runtime *runtime, const json_t *config, const char *id,
		       int dirfd, pid_t vmm, unsigned int vm_memory_mib, struct err *err)
{
	const json_t *section = json_object_get(config, "linux");
	const char *path = json_get_string(section, "cgroupsPath", "");
	bool systemd = runtime->systemd_cgroup || !strcmp(runtime->cgroup_manager, "systemd");
	json_t *limits;
	int ret;

	memset(host, 0, sizeof(*host));
	host->managed = strcmp(runtime->cgroup_manager, "disabled") != 0;
	if (!host->managed)
		return 0;
	if (check_host(err) < 0)
		return -err->code;
	limits = limits_of_vm(json_object_get(section, "resources"), vm_memory_mib);
	ret = systemd ? create_by_systemd(host, path, limits, id, dirfd, vmm, err) :
			create_by_ourselves(host, path, id, dirfd, vmm, err);
	if (ret == 0)
		ret = cgroup_apply(&host->cgroup, limits, HOST_CONTROLLERS, err);
	else if (rootless() && is_denied(err))
		ret = do_without(host, limits, dirfd, err);
	json_decref(limits);
	return ret;
}

int host_cgroup_update(const struct host_cgroup *host, const json_t *resources, unsigned int vm_memory_mib, struct err *err)
{
	json_t *limits;
	int ret;

	if (!host->managed)
		return 0;
	limits = limits_of_vm(resources, vm_memory_mib);
	ret = *host->unit ? scope_update(host->unit, limits, err) : 0;
	if (ret == 0)
		ret = cgroup_apply(&host->cgroup, limits, HOST_CONTROLLERS, err);
	json_decref(limits);
	return ret;
}

int host_cgroup_open_memory_max(const struct host_cgroup *host)
{
	auto_fd directory = -1;
	struct err ignored;

	if (!host->managed)
		return -1;
	directory = cgroup_open(&host->cgroup, &ignored);
	return directory < 0 ? -1 : openat(directory, "memory.max", O_WRONLY | O_CLOEXEC);
}

unsigned int host_cgroup_allowed_mib(int directory)
{
	struct err ignored;
	auto_free char *text = directory < 0 ? NULL : io_read_file(directory, "memory.max", 64, NULL, &ignored);
	uint64_t mib = text && *text >= '0' && *text <= '9' ? strtoull(text, NULL, 10) >> 20 : UINT32_MAX;

	if (mib >= UINT32_MAX)
		return UINT32_MAX;
	return mib > VMM_MEMORY_MIB ? (unsigned int)mib - VMM_MEMORY_MIB : 0;
}

/* Stand-ins of processes that were exec'd end by themselves once the guest's process or the VM has; whoever stays is killed. */
static int remove_when_empty(const struct cgroup *cgroup, struct err *err)
{
	int64_t start = io_now_ms();
	bool killed = false;
	int ret;

	while ((ret = cgroup_remove(cgroup, err)) == -EBUSY && io_now_ms() - start < REMOVE_TIMEOUT_MS) {
		if (!killed && io_now_ms() - start > REMOVE_TIMEOUT_MS / 2)
			killed = cgroup_kill(cgroup, err) == 0;
		usleep(5000);
	}
	return ret;
}

int host_cgroup_remove(const struct host_cgroup *host, struct err *err)
{
	if (!host->managed || !host->created)
		return 0;
	if (*host->unit) {
		/* systemd takes an empty scope away by itself; ask only where it has not yet. */
		if (*host->cgroup.path && access(host->cgroup.path, F_OK) < 0)
			return 0;
		return scope_stop(host->unit, err);
	}
	return remove_when_empty(&host->cgroup, err);
}
