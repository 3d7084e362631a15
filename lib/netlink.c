/* SPDX-License-Identifier: Apache-2.0 */
/* rtnetlink. */
#include "lib/netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_MAX 32768 /* netlink(7): the kernel's parts of a dump are at most this long */

int netlink_open(struct err *err)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	return fd < 0 ? err_set(err, errno, "open a netlink socket") : fd;
}

void netlink_begin(struct netlink_message *message, uint16_t type, uint16_t flags, const void *header, size_t len)
{
	memset(message, 0, sizeof(*message));
	message->header.nlmsg_type = type;
	message->header.nlmsg_flags = NLM_F_REQUEST | flags;
	message->header.nlmsg_len = NLMSG_LENGTH((uint32_t)len);
	memcpy(NLMSG_DATA(&message->header), header, len);
}

void netlink_put(struct netlink_message *message, uint16_t type, const void *data, size_t len)
{
	size_t at = NLMSG_ALIGN(message->header.nlmsg_len);
	uint8_t *end = (uint8_t *)message + at; /* not message->bytes: gcc 12's sanitizers take that for the header alone */
	struct rtattr attribute = { .rta_type = type, .rta_len = (uint16_t)RTA_LENGTH(len) };

	if (at + RTA_SPACE(len) > sizeof(message->bytes)) {
		message->too_long = true;
		return;
	}
	memcpy(end, &attribute, sizeof(attribute));
	if (len)
		memcpy(end + RTA_LENGTH(0), data, len);
	message->header.nlmsg_len = (uint32_t)(at + RTA_LENGTH(len));
}

void netlink_put_u32(struct netlink_message *message, uint16_t type, uint32_t value)
{
	netlink_put(message, type, &value, sizeof(value));
}

void netlink_put_string(struct netlink_message *message, uint16_t type, const char *text)
{
	netlink_put(message, type, text, strlen(text) + 1);
}

size_t netlink_nest(struct netlink_message *message, uint16_t type)
{
	size_t at = NLMSG_ALIGN(message->header.nlmsg_len);

	netlink_put(message, type | NLA_F_NESTED, NULL, 0);
	return at;
}

void netlink_nest_end(struct netlink_message *message, size_t nest)
{
	uint16_t len = (uint16_t)(message->header.nlmsg_len - nest);

	if (!message->too_long)
		memcpy(message->bytes + nest, &len, sizeof(len)); /* rta_len comes first */
}

static int send_message(int fd, struct netlink_message *message)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	static uint32_t sequence;

	if (message->too_long)
		return -EMSGSIZE;
	message->header.nlmsg_seq = ++sequence;
	if (sendto(fd, message->bytes, message->header.nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		return -errno;
	return 0;
}

/* Reads answers to `sequence` until the last. */
static int receive(int fd, uint32_t sequence, netlink_visitor *visit, void *ctx)
{
	_Alignas(struct nlmsghdr) uint8_t answer[ANSWER_MAX];

	for (;;) {
		ssize_t n = recv(fd, answer, sizeof(answer), 0);
		const struct nlmsghdr *header = (const struct nlmsghdr *)answer;
		unsigned int left = (unsigned int)n;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		for (; NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
			int ret = 0;

			if (header->nlmsg_seq != sequence)
				continue;
			if (header->nlmsg_type == NLMSG_DONE)
				return 0;
			if (header->nlmsg_type == NLMSG_ERROR)
				return header->nlmsg_len < NLMSG_LENGTH(sizeof(struct nlmsgerr)) ?
					       -EPROTO :
					       ((const struct nlmsgerr *)NLMSG_DATA(header))->error;
			if (visit)
				ret = visit(header, ctx);
			if (ret < 0)
				return ret;
		}
	}
}

int netlink_request(int fd, struct netlink_message *message, struct err *err, const char *what)
{
	int ret;

	message->header.nlmsg_flags |= NLM_F_ACK;
	ret = send_message(fd, message);
	if (ret == 0)
		ret = receive(fd, message->header.nlmsg_seq, NULL, NULL);
	return ret < 0 ? err_set(err, -ret, "%s", what) : 0;
}

int netlink_dump(int fd, struct netlink_message *message, netlink_visitor *visit, void *ctx, struct err *err, const char *what)
{
	int ret;

	message->header.nlmsg_flags |= NLM_F_DUMP;
	ret = send_message(fd, message);
	if (ret == 0)
		ret = receive(fd, message->header.nlmsg_seq, visit, ctx);
	return ret < 0 ? err_set(err, -ret, "%s", what) : 0;
}

void netlink_attributes(const struct nlmsghdr *header, size_t len, const struct rtattr **table, size_t max)
{
	const uint8_t *at = (const uint8_t *)NLMSG_DATA(header) + NLMSG_ALIGN(len);
	size_t left = header->nlmsg_len < NLMSG_SPACE(len) ? 0 : header->nlmsg_len - NLMSG_SPACE(len);
	const struct rtattr *attribute = (const struct rtattr *)at;

	memset(table, 0, (max + 1) * sizeof(*table));
	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
		uint16_t type = attribute->rta_type & NLA_TYPE_MASK;

		if (type <= max)
			table[type] = attribute;
	}
}

const struct rtattr *netlink_find(const struct rtattr *first, size_t len, uint16_t type)
{
	for (; RTA_OK(first, len); first = RTA_NEXT(first, len))
		if ((first->rta_type & NLA_TYPE_MASK) == type)
			return first;
	return NULL;
}

int netlink_family(size_t address_len)
{
	return address_len == 4 ? AF_INET : address_len == 16 ? AF_INET6 : AF_UNSPEC;
}

uint32_t netlink_u32(const struct rtattr *attribute, uint32_t otherwise)
{
	uint32_t value;

	if (!attribute || RTA_PAYLOAD(attribute) < sizeof(value))
		return otherwise;
	memcpy(&value, RTA_DATA(attribute), sizeof(value));
	return value;
}
