/* SPDX-License-Identifier: Apache-2.0 */
/* A link's tap, and the way of frames between the two: traffic control, before the host's network stack sees them. */
#ifndef RUNTIME_NETWORK_TAP_H
#define RUNTIME_NETWORK_TAP_H

#include "lib/err.h"
#include "runtime/network.h"

/* The index of the link that a tap of ours with this name belongs to; 0: it is no such tap. */
int network_tap_link(const char *name);

/*
 * Gives the link its tap, which goes away with its descriptor, and connects the two. fd: an rtnetlink socket of the
 * namespace that the caller is in. tun_dir: /dev/net.
 */
int network_connect_link(int fd, int tun_dir, struct network_link *link, struct err *err) must_check;

/* Lets the host's stack have the frames of the link with this index again. Nothing to do is no error. */
int network_remove_redirect(int fd, int link, struct err *err) must_check;

#define NETWORK_MAC_TEXT 18 /* with the NUL */
void network_mac_text(const uint8_t mac[6], char text[NETWORK_MAC_TEXT]);

#endif
