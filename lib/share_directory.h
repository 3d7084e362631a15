/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory of the guest's shared file system below which shares of one file system of the host are. The runtime names it to
 * the agent, the VMM's file server has it.
 */
#ifndef LIB_SHARE_DIRECTORY_H
#define LIB_SHARE_DIRECTORY_H

#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define SHARE_DIRECTORY_MAX 24

/* dev: st_dev of any file of the file system. */
static inline void share_directory(char out[SHARE_DIRECTORY_MAX], dev_t dev)
{
	snprintf(out, SHARE_DIRECTORY_MAX, "%u:%u", major(dev), minor(dev));
}

#endif
