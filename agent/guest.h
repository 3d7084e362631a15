/* SPDX-License-Identifier: Apache-2.0 */
/* The guest as a whole: what PID 1 sets up at boot and when the host has connected. */
#ifndef AGENT_GUEST_H
#define AGENT_GUEST_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/* The shared directory's mount point. */
#define GUEST_SHARE "/run/share"

/*
 * Leaves the initramfs for a root that containers can pivot away from, and mounts proc, sysfs, devtmpfs, cgroup2 and a
 * tmpfs on /run. First thing in the process.
 */
int guest_mount_base(struct err *err) must_check;

/* Mounts the shared directory. */
int guest_mount_share(const char *tag, struct err *err) must_check;

/*
 * Comes to a share, by its path in the shared directory: the kernel mounts its file system then. All containers are to have the
 * same mount of it, or they would have a cache and locks each; so it is done before there is a namespace of the container's.
 */
void guest_visit_share(const char *path);

/* Calls visit for the mount point of each file system that is mounted there. */
void guest_for_each_share(void (*visit)(const char *mount_point, void *ctx), void *ctx);

/* Comes to all file systems that are mounted there: the kernel asks then which are still shared, and unmounts the others. */
void guest_visit_mounted_shares(void);

/* Sets CLOCK_REALTIME. */
int guest_set_clock(int64_t realtime_ns, struct err *err) must_check;

/* Mixes bytes into the random pool, credits them and has the pool reseed at once. */
int guest_add_entropy(const uint8_t *bytes, size_t len, struct err *err) must_check;

/*
 * Raises the hard limits of this process, which containers inherit: in a user namespace they can only lower them. Soft
 * limits stay what programs expect.
 */
void guest_raise_limits(void);

/* Has the driver look at the slots for devices that were empty (vmm/virtio/slot.h): some are not any more. */
int guest_find_devices(struct err *err) must_check;

/* Takes a device of this class ("net", "block") from its driver, for a slot that is about to be emptied. */
int guest_unbind(const char *class, const char *name, struct err *err) must_check;

/* Brings the loopback interface up. */
int guest_loopback_up(struct err *err) must_check;

#endif
