/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's kernel and initramfs, only if they are what the administrator's key has signed. */
#ifndef RUNTIME_GUEST_IMAGE_H
#define RUNTIME_GUEST_IMAGE_H

#include "lib/err.h"
#include "runtime/settings.h"

struct guest_image {
	int kernel, initrd; /* owned */
};

/*
 * Opens both and makes sure that they match the signed manifest. Checking hashes tens of megabytes, so a success is
 * remembered below root (the state directory, mode 0700) together with the identity of all files that took part: device,
 * inode, size, mtime and ctime; a file that was written to since has another ctime.
 */
int guest_image_open(struct guest_image *image, const struct settings *settings, const char *root, struct err *err) must_check;

#endif
