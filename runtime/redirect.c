/* SPDX-License-Identifier: Apache-2.0 */
/* A table with one chain with one rule. */
#include "runtime/redirect.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define TABLE "cella"
#define CHAIN "output"
#define BATCH_MAX 4096
#define PRIORITY_DSTNAT (-100)
#define ANSWER_TIMEOUT_S 5

/* A batch of messages in one buffer; attributes nest by position. */
struct batch {
	_Alignas(NLMSG_ALIGNTO) uint8_t bytes[BATCH_MAX];
	size_t used;
	uint32_t sequence;
};

/* What is too long for the buffer cannot happen: all that is put in has a fixed size. */
static void *reserve(struct batch *batch, size_t len)
{
	void *at = batch->bytes + batch->used;

	batch->used += NLMSG_ALIGN(len);
	return at;
}

static size_t begin_message(struct batch *batch, uint16_t type, uint16_t flags, uint8_t family, uint16_t resource)
{
	size_t start = batch->used;
	struct nlmsghdr *header = reserve(batch, sizeof(*header));
	struct nfgenmsg *generic = reserve(batch, sizeof(*generic));

	header->nlmsg_type = type;
	header->nlmsg_flags = NLM_F_REQUEST | flags;
	header->nlmsg_seq = ++batch->sequence;
	generic->nfgen_family = family;
	generic->version = NFNETLINK_V0;
	generic->res_id = htons(resource);
	return start;
}

static void end_message(struct batch *batch, size_t start)
{
	((struct nlmsghdr *)(batch->bytes + start))->nlmsg_len = (uint32_t)(batch->used - start);
}

static void put(struct batch *batch, uint16_t type, const void *data, size_t len)
{
	struct nlattr *attribute = reserve(batch, NLA_HDRLEN + len);

	attribute->nla_type = type;
	attribute->nla_len = (uint16_t)(NLA_HDRLEN + len);
	memcpy((uint8_t *)attribute + NLA_HDRLEN, data, len);
}

static void put_text(struct batch *batch, uint16_t type, const char *text)
{
	put(batch, type, text, strlen(text) + 1);
}

static void put_u32(struct batch *batch, uint16_t type, uint32_t value)
{
	uint32_t big_endian = htonl(value);

	put(batch, type, &big_endian, sizeof(big_endian));
}

static size_t nest(struct batch *batch, uint16_t type)
{
	size_t start = batch->used;
	struct nlattr *attribute = reserve(batch, NLA_HDRLEN);

	attribute->nla_type = NLA_F_NESTED | type;
	return start;
}

static void end_nest(struct batch *batch, size_t start)
{
	((struct nlattr *)(batch->bytes + start))->nla_len = (uint16_t)(batch->used - start);
}

/* An expression of the rule: element and data stay open for its attributes. */
struct expression {
	size_t element, data;
};

static struct expression begin_expression(struct batch *batch, const char *name)
{
	struct expression expression = { .element = nest(batch, NFTA_LIST_ELEM) };

	put_text(batch, NFTA_EXPR_NAME, name);
	expression.data = nest(batch, NFTA_EXPR_DATA);
	return expression;
}

static void end_expression(struct batch *batch, struct expression expression)
{
	end_nest(batch, expression.data);
	end_nest(batch, expression.element);
}

static void load_meta(struct batch *batch, uint32_t key)
{
	struct expression expression = begin_expression(batch, "meta");

	put_u32(batch, NFTA_META_DREG, NFT_REG_1);
	put_u32(batch, NFTA_META_KEY, key);
	end_expression(batch, expression);
}

static void load_payload(struct batch *batch, uint32_t offset, uint32_t len)
{
	struct expression expression = begin_expression(batch, "payload");

	put_u32(batch, NFTA_PAYLOAD_DREG, NFT_REG_1);
	put_u32(batch, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
	put_u32(batch, NFTA_PAYLOAD_OFFSET, offset);
	put_u32(batch, NFTA_PAYLOAD_LEN, len);
	end_expression(batch, expression);
}

static void compare(struct batch *batch, uint32_t operation, const void *value, size_t len)
{
	struct expression expression = begin_expression(batch, "cmp");
	size_t data;

	put_u32(batch, NFTA_CMP_SREG, NFT_REG_1);
	put_u32(batch, NFTA_CMP_OP, operation);
	data = nest(batch, NFTA_CMP_DATA);
	put(batch, NFTA_DATA_VALUE, value, len);
	end_nest(batch, data);
	end_expression(batch, expression);
}

static void redirect_to(struct batch *batch, uint16_t port)
{
	struct expression expression = begin_expression(batch, "immediate");
	uint16_t big_endian = htons(port);
	size_t data;

	put_u32(batch, NFTA_IMMEDIATE_DREG, NFT_REG_1);
	data = nest(batch, NFTA_IMMEDIATE_DATA);
	put(batch, NFTA_DATA_VALUE, &big_endian, sizeof(big_endian));
	end_nest(batch, data);
	end_expression(batch, expression);
	expression = begin_expression(batch, "redir");
	put_u32(batch, NFTA_REDIR_REG_PROTO_MIN, NFT_REG_1);
	end_expression(batch, expression);
}

static void add_table(struct batch *batch, uint8_t family)
{
	size_t message = begin_message(batch, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWTABLE, NLM_F_CREATE, family, 0);

	put_text(batch, NFTA_TABLE_NAME, TABLE);
	end_message(batch, message);
}

static void delete_table(struct batch *batch, uint8_t family)
{
	size_t message = begin_message(batch, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELTABLE, 0, family, 0);

	put_text(batch, NFTA_TABLE_NAME, TABLE);
	end_message(batch, message);
}

static void add_chain(struct batch *batch, uint8_t family)
{
	size_t message = begin_message(batch, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWCHAIN, NLM_F_CREATE, family, 0), hook;

	put_text(batch, NFTA_CHAIN_TABLE, TABLE);
	put_text(batch, NFTA_CHAIN_NAME, CHAIN);
	hook = nest(batch, NFTA_CHAIN_HOOK);
	put_u32(batch, NFTA_HOOK_HOOKNUM, NF_INET_LOCAL_OUT);
	put_u32(batch, NFTA_HOOK_PRIORITY, (uint32_t)PRIORITY_DSTNAT);
	end_nest(batch, hook);
	put_text(batch, NFTA_CHAIN_TYPE, "nat");
	end_message(batch, message);
}

static void add_rule(struct batch *batch, uint8_t family, uint16_t port)
{
	static const uint8_t tcp = IPPROTO_TCP, name_server[4] = { 127, 0, 0, 11 };
	uint32_t loopback = if_nametoindex("lo");
	size_t message = begin_message(batch, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, family, 0);
	size_t expressions;

	put_text(batch, NFTA_RULE_TABLE, TABLE);
	put_text(batch, NFTA_RULE_CHAIN, CHAIN);
	expressions = nest(batch, NFTA_RULE_EXPRESSIONS);
	load_meta(batch, NFT_META_L4PROTO);
	compare(batch, NFT_CMP_EQ, &tcp, sizeof(tcp));
	load_meta(batch, NFT_META_OIF);
	compare(batch, NFT_CMP_EQ, &loopback, sizeof(loopback));
	if (family == NFPROTO_IPV4) {
		load_payload(batch, 16 /* destination, RFC 791 3.1 */, 4);
		compare(batch, NFT_CMP_NEQ, name_server, sizeof(name_server));
	}
	redirect_to(batch, port);
	end_nest(batch, expressions);
	end_message(batch, message);
}

/* The kernel answers each message that failed, and the one that wanted an answer. */
static int read_answers(int fd, uint32_t last, struct err *err)
{
	_Alignas(NLMSG_ALIGNTO) uint8_t bytes[16384];

	for (;;) {
		ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
		size_t left = n > 0 ? (size_t)n : 0;

		if (n <= 0)
			return err_set(err, n < 0 ? errno : EIO, "netfilter's answer");
		for (struct nlmsghdr *header = (struct nlmsghdr *)bytes; NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
			const struct nlmsgerr *answer = NLMSG_DATA(header);

			if (header->nlmsg_type != NLMSG_ERROR)
				continue;
			if (answer->error)
				return err_set(err, -answer->error, "netfilter (nf_tables, nat)");
			if (header->nlmsg_seq == last)
				return 0;
		}
	}
}

int redirect_loopback(int family, uint16_t port, struct err *err)
{
	uint8_t netfilter = family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6;
	struct timeval timeout = { .tv_sec = ANSWER_TIMEOUT_S };
	auto_fd fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	struct batch batch = { .used = 0 };
	uint32_t last;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0)
		return err_set(err, errno, "open a netfilter socket");
	end_message(&batch, begin_message(&batch, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
	/* What an earlier container of the namespace has left is replaced: a table is made so that there is one to delete. */
	add_table(&batch, netfilter);
	delete_table(&batch, netfilter);
	add_table(&batch, netfilter);
	add_chain(&batch, netfilter);
	add_rule(&batch, netfilter, port);
	last = batch.sequence;
	end_message(&batch, begin_message(&batch, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
	for (size_t at = 0; at < batch.used;) {
		struct nlmsghdr *header = (struct nlmsghdr *)(batch.bytes + at);

		if (header->nlmsg_seq == last)
			header->nlmsg_flags |= NLM_F_ACK;
		at += NLMSG_ALIGN(header->nlmsg_len);
	}
	if (send(fd, batch.bytes, batch.used, 0) < 0)
		return err_set(err, errno, "netfilter");
	return read_answers(fd, last, err);
}
