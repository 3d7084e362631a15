/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections from outside of the VM to sockets that its guest's processes have bound in shared directories (vmm/fs/sockets.c): each
 * is led to the agent (agent/visitors.h), with a line that says to which socket it goes and whose it is.
 */
#ifndef VMM_VISITORS_H
#define VMM_VISITORS_H

#include "lib/err.h"
#include "lib/loop.h"
#include "vmm/fs/server.h"
#include "vmm/virtio/device.h"

/* All are borrowed, for the loop's life. */
struct visitors {
	struct fs_server *server;
	struct virtio_device *vsock;
};

int visitors_watch(struct visitors *visitors, struct loop *loop, struct err *err) must_check;

#endif
