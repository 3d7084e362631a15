/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's kernel and initramfs, only if they are what the administrator's key has signed. */
#ifndef RUNTIME_GUEST_IMAGE_H
#define RUNTIME_GUEST_IMAGE_H

#include <stddef.h>

#include "lib/err.h"
#include "runtime/settings.h"

struct guest_image {
	int kernel, initrd; /* owned */
	char identity[2048]; /* of all files that took part, a line for each */
};

/*
 * Opens both and makes sure that they match the signed manifest. Checking hashes tens of megabytes, so a success is
 * remembered below root (the state directory, mode 0700) together with the identity of all files that took part: device,
 * inode, size, mtime and ctime; a file that was written to since has another ctime.
 */
int guest_image_open(struct guest_image *image, const struct settings *settings, const char *root, struct err *err) must_check;

/* Appends the line for an open file: device, inode, size, mtime and ctime. 0 or -errno. */
int guest_image_add_identity(char *out, size_t size, int fd) must_check;

#endif
