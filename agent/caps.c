/* SPDX-License-Identifier: Apache-2.0 */
/* Capability sets (capabilities(7)). */
#include "agent/caps.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/capability.h"

/* Names that this build does not know are left out: config.md, "MUST log a warning", which the runtime does. */
static uint64_t set_from(const json_t *capabilities, const char *name)
{
	const json_t *list = json_object_get(capabilities, name), *entry;
	uint64_t set = 0;
	size_t i;

	json_array_foreach(list, i, entry) {
		int number = json_is_string(entry) ? capability_number(json_string_value(entry)) : -1;

		if (number >= 0)
			set |= 1ULL << number;
	}
	return set;
}

int caps_limit_bounding(const json_t *capabilities, struct err *err)
{
	uint64_t keep = set_from(capabilities, "bounding");

	for (int cap = 0; cap <= 63; cap++) {
		int there = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);

		if (there < 0)
			break; /* the kernel's last one */
		if (there && !(keep >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return err_set(err, errno, "drop capability %d", cap);
	}
	return 0;
}

static int set_ambient(uint64_t ambient, struct err *err)
{
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return err_set(err, errno, "clear the ambient capabilities");
	for (int cap = 0; cap <= 63; cap++) {
		if (!(ambient >> cap & 1))
			continue;
		/* EPERM: not permitted and inheritable, so the kernel would not honour it; as runc, go on. */
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0 && errno != EPERM)
			return err_set(err, errno, "raise ambient capability %d", cap);
	}
	return 0;
}

int caps_raise(struct err *err)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0)
		return err_set(err, errno, "read the capabilities");
	for (int i = 0; i < 2; i++)
		data[i].effective = data[i].permitted;
	return syscall(SYS_capset, &header, data) < 0 ? err_set(err, errno, "raise the capabilities") : 0;
}

int caps_apply(const json_t *capabilities, struct err *err)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	uint64_t effective = set_from(capabilities, "effective"), permitted = set_from(capabilities, "permitted");
	uint64_t inheritable = set_from(capabilities, "inheritable");

	for (int i = 0; i < 2; i++) {
		data[i].effective = (uint32_t)(effective >> (32 * i));
		data[i].permitted = (uint32_t)(permitted >> (32 * i));
		data[i].inheritable = (uint32_t)(inheritable >> (32 * i));
	}
	if (syscall(SYS_capset, &header, data) < 0)
		return err_set(err, errno, "set the capabilities (effective must be within permitted)");
	return set_ambient(set_from(capabilities, "ambient"), err);
}
