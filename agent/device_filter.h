/* SPDX-License-Identifier: Apache-2.0 */
/* A cgroup's device filter, a BPF program (cgroup-v2.rst, "Device controller"). */
#ifndef AGENT_DEVICE_FILTER_H
#define AGENT_DEVICE_FILTER_H

#include <jansson.h>

#include "lib/err.h"

/* Attaches a filter for linux.resources.devices (an array) to the cgroup behind cgroup_fd. */
int device_filter_attach(int cgroup_fd, const json_t *rules, struct err *err) must_check;

#endif
