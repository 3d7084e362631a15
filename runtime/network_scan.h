/* SPDX-License-Identifier: Apache-2.0 */
/* What is in a network namespace, as the guest is to have it: links, addresses, routes, permanent neighbours. */
#ifndef RUNTIME_NETWORK_SCAN_H
#define RUNTIME_NETWORK_SCAN_H

#include "lib/err.h"
#include "runtime/network.h"

/*
 * Fills an empty network from the namespace that the caller is in; fd: an rtnetlink socket there; proc_dir: an open /proc. Links have no tap yet.
 * Taps of ours whose link is gone are listed apart.
 */
int network_scan(struct network *network, int fd, int proc_dir, struct err *err) must_check;

#endif
