/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-fs (virtio 1.2, 5.11): FUSE requests from the guest to a file server in this process (vmm/fs). Requests are
 * served by worker threads that wait on the queues themselves.
 */
#ifndef VMM_VIRTIO_FS_H
#define VMM_VIRTIO_FS_H

#include "vmm/fs/server.h"
#include "vmm/virtio/device.h"

#define FS_WORKERS_MAX 8

/* tag: the name to mount by, at most 36 bytes. server: borrowed, outlives the device. */
struct virtio_device *fs_new(const struct memory *mem, struct fs_server *server, const char *tag, unsigned int workers,
			     struct err *err);

/* Starts the workers; confine is called first on each (seccomp). Call once, before the guest runs. */
int fs_start(struct virtio_device *device, int (*confine)(void *ctx), void *ctx, struct err *err) must_check;

void fs_free(struct virtio_device *device);

#endif
