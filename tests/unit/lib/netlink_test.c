/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/netlink.h"

#include <net/if.h>

#include "tests/unit/test.h"

static void begin(struct netlink_message *message)
{
	struct ifinfomsg info = { .ifi_index = 7 };

	netlink_begin(message, RTM_NEWLINK, NLM_F_CREATE, &info, sizeof(info));
}

static void test_attributes_go_in_and_come_out(void **state)
{
	const struct rtattr *attributes[IFLA_MAX + 1];
	struct netlink_message message;

	(void)state;
	begin(&message);
	netlink_put_string(&message, IFLA_IFNAME, "eth0");
	netlink_put_u32(&message, IFLA_MTU, 1400);
	assert_int_equal(message.header.nlmsg_flags, NLM_F_REQUEST | NLM_F_CREATE);
	netlink_attributes(&message.header, sizeof(struct ifinfomsg), attributes, IFLA_MAX);
	assert_string_equal(RTA_DATA(attributes[IFLA_IFNAME]), "eth0");
	assert_int_equal(netlink_u32(attributes[IFLA_MTU], 0), 1400);
	assert_null(attributes[IFLA_ADDRESS]);
	assert_int_equal(netlink_u32(attributes[IFLA_ADDRESS], 5), 5);
	assert_int_equal(((struct ifinfomsg *)NLMSG_DATA(&message.header))->ifi_index, 7);
}

static void test_nested_attributes(void **state)
{
	const struct rtattr *attributes[IFLA_MAX + 1], *inner;
	struct netlink_message message;
	size_t nest;

	(void)state;
	begin(&message);
	nest = netlink_nest(&message, IFLA_LINKINFO);
	netlink_put_string(&message, 1, "veth");
	netlink_nest_end(&message, nest);
	netlink_put_u32(&message, IFLA_MTU, 9000);
	netlink_attributes(&message.header, sizeof(struct ifinfomsg), attributes, IFLA_MAX);
	inner = RTA_DATA(attributes[IFLA_LINKINFO]);
	assert_true(RTA_OK(inner, (int)RTA_PAYLOAD(attributes[IFLA_LINKINFO])));
	assert_string_equal(RTA_DATA(inner), "veth");
	assert_int_equal(netlink_u32(attributes[IFLA_MTU], 0), 9000);
}

/* What is cut short or lies about its length is left out, and what lies behind it. */
static void test_hostile_lengths(void **state)
{
	static const uint16_t lengths[] = { 0, 1, 3, 200, 0xffff };
	const struct rtattr *attributes[IFLA_MAX + 1];
	struct netlink_message message;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		begin(&message);
		netlink_put_u32(&message, IFLA_MTU, 1);
		memcpy(message.bytes + NLMSG_LENGTH(sizeof(struct ifinfomsg)), &lengths[i], 2);
		netlink_attributes(&message.header, sizeof(struct ifinfomsg), attributes, IFLA_MAX);
		assert_null(attributes[IFLA_MTU]);
	}
	begin(&message);
	netlink_put(&message, IFLA_MTU, "x", 1);
	message.header.nlmsg_len = NLMSG_LENGTH(4); /* shorter than the family's header */
	netlink_attributes(&message.header, sizeof(struct ifinfomsg), attributes, IFLA_MAX);
	assert_null(attributes[IFLA_MTU]);
	begin(&message);
	netlink_put(&message, IFLA_MTU, "xy", 2);
	netlink_attributes(&message.header, sizeof(struct ifinfomsg), attributes, IFLA_MAX);
	assert_int_equal(netlink_u32(attributes[IFLA_MTU], 42), 42);
}

static void test_a_message_that_is_too_long_is_not_sent(void **state)
{
	static char big[NETLINK_MESSAGE_MAX];
	struct netlink_message message;
	struct err err;

	(void)state;
	begin(&message);
	netlink_put(&message, IFLA_ALT_IFNAME, big, sizeof(big));
	assert_true(message.too_long);
	assert_int_equal(netlink_request(-1, &message, &err, "nothing"), -EMSGSIZE);
}

/* The loopback interface is in every network namespace, and listing needs no privilege. */
static int count(const struct nlmsghdr *header, void *ctx)
{
	const struct ifinfomsg *info = NLMSG_DATA(header);

	*(int *)ctx += info->ifi_flags & IFF_LOOPBACK ? 1 : 0;
	return 0;
}

static void test_the_kernel_answers(void **state)
{
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC };
	struct netlink_message message;
	struct err err;
	int fd = netlink_open(&err), loopbacks = 0;

	(void)state;
	assert_true(fd >= 0);
	netlink_begin(&message, RTM_GETLINK, 0, &info, sizeof(info));
	assert_int_equal(netlink_dump(fd, &message, count, &loopbacks, &err, "list"), 0);
	assert_int_equal(loopbacks, 1);
	info.ifi_index = 0x7ffffff0;
	netlink_begin(&message, RTM_DELLINK, 0, &info, sizeof(info));
	assert_true(netlink_request(fd, &message, &err, "delete a link") < 0);
	assert_non_null(strstr(err.msg, "delete a link: "));
	close(fd);
}

static void test_nested_attributes_are_found_within_their_length(void **state)
{
	struct netlink_message message;
	struct rtmsg info = { .rtm_family = AF_UNSPEC };
	const struct rtattr *first, *found;
	size_t len, nest;

	(void)state;
	netlink_begin(&message, RTM_NEWROUTE, 0, &info, sizeof(info));
	nest = netlink_nest(&message, RTA_METRICS);
	netlink_put_string(&message, 1, "tun");
	netlink_put_u32(&message, 2, 7);
	netlink_nest_end(&message, nest);
	first = RTA_DATA((const struct rtattr *)(message.bytes + nest));
	len = RTA_PAYLOAD((const struct rtattr *)(message.bytes + nest));
	found = netlink_find(first, len, 2);
	assert_non_null(found);
	assert_int_equal(netlink_u32(found, 0), 7);
	assert_null(netlink_find(first, len, 3));
	assert_null(netlink_find(first, len - 1, 2));
	assert_null(netlink_find(first, 0, 1));
}

static void test_a_family_is_told_by_the_length(void **state)
{
	(void)state;
	assert_int_equal(netlink_family(4), AF_INET);
	assert_int_equal(netlink_family(16), AF_INET6);
	assert_int_equal(netlink_family(0), AF_UNSPEC);
	assert_int_equal(netlink_family(6), AF_UNSPEC);
}

TESTS(cmocka_unit_test(test_attributes_go_in_and_come_out), cmocka_unit_test(test_nested_attributes),
      cmocka_unit_test(test_hostile_lengths), cmocka_unit_test(test_a_message_that_is_too_long_is_not_sent),
      cmocka_unit_test(test_the_kernel_answers),
      cmocka_unit_test(test_nested_attributes_are_found_within_their_length), cmocka_unit_test(test_a_family_is_told_by_the_length))
