/* SPDX-License-Identifier: Apache-2.0 */
/* The administrator's settings: cella.conf (INI, section [vm] and [paths]). */
#ifndef RUNTIME_SETTINGS_H
#define RUNTIME_SETTINGS_H

#include <limits.h>

#include "lib/err.h"

struct settings {
	char guest_dir[PATH_MAX]; /* vmlinux, initramfs.cpio, manifest.json, manifest.sig */
	char guest_key[PATH_MAX]; /* the public key that the manifest must be signed with */
	char libexec_dir[PATH_MAX]; /* cella-vmm, cella-image */
	char template_dir[PATH_MAX]; /* templates; by default in the state directory that is used without --root */
	unsigned int memory_mib;  /* of a VM without a memory limit, when it starts */
	unsigned int memory_max_mib; /* what it may grow to; 0: what the host has */
	unsigned int overhead_mib; /* added to a memory limit */
	unsigned int vcpus;
	unsigned int boot_timeout_s; /* until the agent must have answered */
	unsigned int network_mbit; /* the most each way, for each link, in a second; 0: no limit */
	char kernel_parameters[1024]; /* added to ours */
	char spec_images[PATH_MAX];   /* directory of guest images that config.json may choose from; empty: none */
	unsigned int spec_parameters; /* 1: config.json may add kernel parameters */
};

/* A missing file means the defaults; an unknown key or a bad value is an error that names it. */
int settings_load(struct settings *settings, const char *path, struct err *err) must_check;

#endif
