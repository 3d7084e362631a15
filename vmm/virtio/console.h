/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-console (virtio 1.2, 5.3), one port: hvc0. Output joins the serial record; a unix socket may attach. */
#ifndef VMM_VIRTIO_CONSOLE_H
#define VMM_VIRTIO_CONSOLE_H

#include "vmm/serial.h"
#include "vmm/virtio/device.h"

/*
 * listen_fd: a listening unix stream socket for attaching (one client at a time, a new one replaces the old), or -1;
 * borrowed. serial gets all output; borrowed.
 */
struct virtio_device *console_new(const struct memory *mem, struct loop *loop, struct serial *serial, int listen_fd,
				  struct err *err);
void console_free(struct virtio_device *device);

#endif
