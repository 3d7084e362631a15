/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtnetlink(7): messages with attributes, requests that wait for their acknowledgement, dumps. Debian has no static
 * libmnl, and what we need is small.
 */
#ifndef LIB_NETLINK_H
#define LIB_NETLINK_H

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define NETLINK_MESSAGE_MAX 2048

struct netlink_message {
	union {
		struct nlmsghdr header;
		uint8_t bytes[NETLINK_MESSAGE_MAX];
	};
	bool too_long; /* an attribute did not fit: sending it fails */
};

/* A socket for the network namespace that the caller is in. A close-on-exec descriptor or -errno. */
int netlink_open(struct err *err) must_check;

/* Starts a message: type (RTM_*), NLM_F_* flags, the family's header. */
void netlink_begin(struct netlink_message *message, uint16_t type, uint16_t flags, const void *header, size_t len);

/* Attributes. */
void netlink_put(struct netlink_message *message, uint16_t type, const void *data, size_t len);
void netlink_put_u32(struct netlink_message *message, uint16_t type, uint32_t value);
void netlink_put_string(struct netlink_message *message, uint16_t type, const char *text);

/* Attributes until netlink_nest_end are nested in this one; it takes what netlink_nest returned. */
size_t netlink_nest(struct netlink_message *message, uint16_t type);
void netlink_nest_end(struct netlink_message *message, size_t nest);

/* Sends and waits for the acknowledgement; what: for the error text. 0 or the kernel's -errno. */
int netlink_request(int fd, struct netlink_message *message, struct err *err, const char *what) must_check;

/* Called for each message of a dump. 0, or -errno to end it. */
typedef int netlink_visitor(const struct nlmsghdr *header, void *ctx);
int netlink_dump(int fd, struct netlink_message *message, netlink_visitor *visit, void *ctx, struct err *err,
		 const char *what) must_check;

/*
 * The attributes behind a message's family header (len bytes) by type: table[type] or NULL, up to max. Attributes that
 * are cut short are left out.
 */
void netlink_attributes(const struct nlmsghdr *header, size_t len, const struct rtattr **table, size_t max);

/* The first attribute of that type among those in len bytes from first on, or NULL: for nested ones. */
const struct rtattr *netlink_find(const struct rtattr *first, size_t len, uint16_t type);

/* AF_INET or AF_INET6 for an address of that many bytes, AF_UNSPEC for any other. */
int netlink_family(size_t address_len);

/* An attribute's value as a number, `otherwise` if it is missing or shorter. */
uint32_t netlink_u32(const struct rtattr *attribute, uint32_t otherwise);

#endif
