/* SPDX-License-Identifier: Apache-2.0 */
/* The mount option tmpcopyup: a fresh tmpfs gets what the directory under it holds. */
#ifndef AGENT_COPY_UP_H
#define AGENT_COPY_UP_H

#include "lib/err.h"

/* Copies the tree below directory `from` into directory `to` (both O_PATH): types, modes, owners, times, links. */
int copy_up(int from, int to, struct err *err) must_check;

#endif
