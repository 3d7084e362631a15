/* SPDX-License-Identifier: Apache-2.0 */
/* linux.seccomp compiled to BPF on the host; programs are cached by content below the state directory. */
#ifndef RUNTIME_SECCOMP_H
#define RUNTIME_SECCOMP_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

struct seccomp_program {
	uint8_t *code; /* struct sock_filter[], owned by the caller; NULL: no filter */
	size_t len;    /* bytes */
	uint32_t flags; /* SECCOMP_FILTER_FLAG_* */
};

/* root: the state directory, for the cache. seccomp NULL gives an empty program. */
int seccomp_compile(const json_t *seccomp, const char *root, struct seccomp_program *program, struct err *err) must_check;

#endif
