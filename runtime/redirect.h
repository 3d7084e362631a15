/* SPDX-License-Identifier: Apache-2.0 */
/* netfilter rules for connections that go over the loopback interface of a network namespace (nf_tables over netlink). */
#ifndef RUNTIME_REDIRECT_H
#define RUNTIME_REDIRECT_H

#include <stdint.h>

#include "lib/err.h"

/*
 * In the namespace that the caller is in: every TCP connection made there that would go over the loopback interface, but
 * for those to 127.0.0.11 (docker's name server), goes to this port there. family: AF_INET or AF_INET6. Ends with the
 * namespace.
 */
int redirect_loopback(int family, uint16_t port, struct err *err) must_check;

#endif
