/* SPDX-License-Identifier: Apache-2.0 */
/* Capability names, by number (linux/capability.h). */
#include "lib/capability.h"

#include <string.h>

#include "lib/cleanup.h"

const char *const capability_names[] = {
	"CAP_CHOWN",	       "CAP_DAC_OVERRIDE",   "CAP_DAC_READ_SEARCH", "CAP_FOWNER",      "CAP_FSETID",
	"CAP_KILL",	       "CAP_SETGID",	     "CAP_SETUID",	    "CAP_SETPCAP",     "CAP_LINUX_IMMUTABLE",
	"CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN",	    "CAP_NET_RAW",     "CAP_IPC_LOCK",
	"CAP_IPC_OWNER",       "CAP_SYS_MODULE",     "CAP_SYS_RAWIO",	    "CAP_SYS_CHROOT",  "CAP_SYS_PTRACE",
	"CAP_SYS_PACCT",       "CAP_SYS_ADMIN",	     "CAP_SYS_BOOT",	    "CAP_SYS_NICE",    "CAP_SYS_RESOURCE",
	"CAP_SYS_TIME",	       "CAP_SYS_TTY_CONFIG", "CAP_MKNOD",	    "CAP_LEASE",       "CAP_AUDIT_WRITE",
	"CAP_AUDIT_CONTROL",   "CAP_SETFCAP",	     "CAP_MAC_OVERRIDE",    "CAP_MAC_ADMIN",   "CAP_SYSLOG",
	"CAP_WAKE_ALARM",      "CAP_BLOCK_SUSPEND",  "CAP_AUDIT_READ",	    "CAP_PERFMON",     "CAP_BPF",
	"CAP_CHECKPOINT_RESTORE",
};

const size_t capability_count = ARRAY_SIZE(capability_names);

int capability_number(const char *name)
{
	for (size_t i = 0; i < capability_count; i++)
		if (!strcmp(capability_names[i], name))
			return (int)i;
	return -1;
}
