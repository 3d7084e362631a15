/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-vsock (virtio 1.2, 5.10) served over unix sockets, in this process.
 *
 * Host to guest: connect to the listening socket and send "CONNECT <port>\n"; "OK <host port>\n" comes back when the
 * guest accepts, the end of the stream when it does not. Guest to host: a connection to port N of CID 2 becomes a
 * connection to "<path>_<N>". (Firecracker's convention, which Kata and others speak.) Stream sockets only. A half
 * close travels in both directions.
 */
#ifndef VMM_VIRTIO_VSOCK_H
#define VMM_VIRTIO_VSOCK_H

#include "vmm/virtio/device.h"

#define VSOCK_CONNECTIONS_MAX 1023

/*
 * listen_fd: the listening socket, borrowed. path: its path as this process will see it once it is jailed, for the
 * "<path>_<N>" sockets; copied.
 */
struct virtio_device *vsock_new(const struct memory *mem, struct loop *loop, uint64_t guest_cid, int listen_fd,
				const char *path, struct err *err);
void vsock_free(struct virtio_device *device);

/*
 * Connects fd, a non-blocking stream socket, to a port of the guest's, whose program reads line (of at most VSOCK_LINE_MAX bytes)
 * before what comes from fd. fd is the device's in every case; a guest that refuses ends it. I/O thread.
 */
#define VSOCK_LINE_MAX 1024
#define VSOCK_LED_MAX 512 /* of such connections; others, on which the guest is served, have the rest */
void vsock_connect_guest(struct virtio_device *device, int fd, uint32_t port, const char *line);

/*
 * For a VM that is to be saved: its first request for a connection to the host stays in the queue, where the device of the
 * restored VM finds it, and arrived is called instead (I/O thread, under the device's lock), once or more. So there is
 * no connection to save.
 */
void vsock_hold_requests(struct virtio_device *device, void (*arrived)(void *ctx), void *ctx);

#endif
