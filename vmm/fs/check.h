/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate in front of libfuse's parser, which was written for a kernel that it trusts: here the guest is hostile.
 * A request passes only if its size, its strings and its counts are consistent and its names are single components.
 */
#ifndef VMM_FS_CHECK_H
#define VMM_FS_CHECK_H

#include <stddef.h>

/*
 * 0 if libfuse may see the request. -EINVAL: malformed, -ENOSYS: an operation that this server does not have,
 * -ENAMETOOLONG: a name over 255 bytes. The caller answers with that error, if the header is whole (len >= 40).
 */
int fs_check_request(const void *data, size_t len);

#endif
