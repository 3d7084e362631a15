/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-rng (virtio 1.2, 5.4): entropy from the host's getrandom(2). */
#ifndef VMM_VIRTIO_RNG_H
#define VMM_VIRTIO_RNG_H

#include "vmm/virtio/device.h"

struct virtio_device *rng_new(const struct memory *mem, struct err *err);
void rng_free(struct virtio_device *device);

#endif
