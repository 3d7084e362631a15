/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Docker's name server of user-defined networks: containers find it at 127.0.0.11, an address of the network namespace on
 * the host, which a guest cannot reach. So the agent serves that address in the guest, and passes queries on to the
 * stand-in (runtime/names.h) over vsock, where they travel as in TCP: each behind two bytes with its length
 * (RFC 1035, 4.2.2).
 */
#ifndef AGENT_NAMES_H
#define AGENT_NAMES_H

#include "lib/err.h"
#include "lib/loop.h"

#define NAMES_ADDRESS 0x7f00000bU /* 127.0.0.11 */

struct names;

/* network: its number (agent.proto). */
struct names *names_new(struct loop *loop, unsigned int network, struct err *err);

/*
 * Serves the network namespace that the agent is in from now on; again is no error. A container that uses the port itself has
 * it first.
 */
int names_serve(struct names *names, struct err *err) must_check;

/* May be NULL. */
void names_free(struct names *names);

#endif
