/* SPDX-License-Identifier: Apache-2.0 */
/* How large a VM is when it starts, and what it may become. */
#include <fcntl.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/json.h"
#include "runtime/vm.h"

#define GROWTH_BLOCK_MIB 128 /* the guest adds no less at once */
#define GROWTH_MAX_MIB (1 << 20)

unsigned int vm_memory_mib(const struct settings *settings, const json_t *resources)
{
	int64_t limit = json_get_integer(json_object_get(resources, "memory"), "limit", 0);
	/* Beyond what any machine has: as good as no limit. */
	int64_t mib = limit > 0 && limit < 1LL << 50 ? (limit >> 20) + settings->overhead_mib : settings->memory_mib;

	if (mib < VM_MEMORY_MIN_MIB)
		mib = VM_MEMORY_MIN_MIB;
	return (unsigned int)((mib + 1) & ~1LL);
}

/* Address space for it is reserved, which a host that never overcommits would charge in full (proc(5), overcommit_memory). */
static bool never_overcommits(void)
{
	struct err ignored;
	auto_free char *text = io_read_file(AT_FDCWD, "/proc/sys/vm/overcommit_memory", 16, NULL, &ignored);

	return text && *text == '2';
}

unsigned int vm_growth_mib(const struct settings *settings, unsigned int memory_mib)
{
	uint64_t host = ((uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE)) >> 20;
	uint64_t max = settings->memory_max_mib ? settings->memory_max_mib : host;
	uint64_t growth = max > memory_mib ? max - memory_mib : 0;

	if (never_overcommits())
		return 0;
	if (growth > GROWTH_MAX_MIB)
		growth = GROWTH_MAX_MIB;
	return (unsigned int)(growth - growth % GROWTH_BLOCK_MIB);
}

static unsigned int choose_vcpus(const struct settings *settings, const json_t *resources)
{
	const json_t *cpu = json_object_get(resources, "cpu");
	int64_t quota = json_get_integer(cpu, "quota", 0), period = json_get_integer(cpu, "period", 100000);
	int64_t n = quota > 0 && period > 0 ? (quota + period - 1) / period : settings->vcpus;
	long online = sysconf(_SC_NPROCESSORS_ONLN);

	if (n > online)
		n = online;
	return (unsigned int)(n < 1 ? 1 : n > 32 ? 32 : n);
}

struct vm_size vm_choose_size(const struct settings *settings, const json_t *resources)
{
	return (struct vm_size){ vm_memory_mib(settings, resources), choose_vcpus(settings, resources) };
}
