/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes.
 *
 * All are added first, then those that they replace go: there is no moment without a route. The guest's kernel may have
 * learnt the same from a router's advertisement (RFC 4861) as soon as the interface was up: then the route is there already.
 */
#include "agent/routes.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/cleanup.h"
#include "lib/netlink.h"

static int check(const Cella__Agent__Route *route, struct err *err)
{
	const ProtobufCBinaryData *ip = route->destination ? &route->destination->ip : NULL;

	if (!ip)
		return err_msg(err, EINVAL, "a route without a destination");
	if (netlink_family(ip->len) == AF_UNSPEC || route->destination->prefix > ip->len * 8 ||
	    (route->gateway.len && route->gateway.len != ip->len) || (route->source.len && route->source.len != ip->len))
		return err_msg(err, EINVAL, "a route's addresses are malformed");
	return 0;
}

static int add_route(int fd, const Cella__Agent__Route *route, struct err *err)
{
	const ProtobufCBinaryData *ip = &route->destination->ip;
	struct rtmsg info = {
		.rtm_family = (uint8_t)netlink_family(ip->len),
		.rtm_dst_len = (uint8_t)route->destination->prefix,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_STATIC,
		.rtm_scope = (uint8_t)route->scope,
		.rtm_type = RTN_UNICAST,
	};
	unsigned int index = if_nametoindex(route->interface);
	struct netlink_message message;

	if (!index)
		return err_msg(err, ENODEV, "there is no interface %s", route->interface);
	/* The same destination over another interface is another route, with the same metric if need be. */
	netlink_begin(&message, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND, &info, sizeof(info));
	if (info.rtm_dst_len)
		netlink_put(&message, RTA_DST, ip->data, ip->len);
	if (route->metric)
		netlink_put_u32(&message, RTA_PRIORITY, route->metric);
	netlink_put_u32(&message, RTA_OIF, index);
	if (route->gateway.len)
		netlink_put(&message, RTA_GATEWAY, route->gateway.data, route->gateway.len);
	if (route->source.len)
		netlink_put(&message, RTA_PREFSRC, route->source.data, route->source.len);
	if (netlink_request(fd, &message, err, "add a route") < 0 && err->code != EEXIST)
		return err_wrap(err, "interface %s", route->interface);
	return 0;
}

/* A route that was ours and is not any more. */
struct stale_route {
	struct rtmsg info;
	uint32_t index, metric;
	bool has_gateway;
	uint8_t destination[16], gateway[16];
};

struct stale {
	const Cella__Agent__Network *network;
	struct stale_route *routes; /* owned */
	size_t n;
};

static bool is_address(const struct rtattr *attribute, const ProtobufCBinaryData *ip)
{
	return attribute ? RTA_PAYLOAD(attribute) == ip->len && !memcmp(RTA_DATA(attribute), ip->data, ip->len) : ip->len == 0;
}

/* Whether a route of the kernel's goes where this one goes, over the same interface and with the same metric. */
static bool is_same_way(const struct rtmsg *info, const struct rtattr *const *attributes, const Cella__Agent__Route *route)
{
	const ProtobufCBinaryData *ip = &route->destination->ip;
	/* That of an IPv6 route without one (IP6_RT_PRIO_USER). */
	uint32_t otherwise = info->rtm_family == AF_INET6 ? 1024 : 0;

	return info->rtm_family == netlink_family(ip->len) && info->rtm_dst_len == route->destination->prefix &&
	       (info->rtm_dst_len == 0 || is_address(attributes[RTA_DST], ip)) &&
	       netlink_u32(attributes[RTA_PRIORITY], 0) == (route->metric ? route->metric : otherwise) &&
	       netlink_u32(attributes[RTA_OIF], 0) == if_nametoindex(route->interface);
}

static bool is_replaced(const struct stale *stale, const struct rtmsg *info, const struct rtattr *const *attributes)
{
	bool replaced = false;

	for (size_t i = 0; i < stale->network->n_routes; i++) {
		const Cella__Agent__Route *route = stale->network->routes[i];

		if (!is_same_way(info, attributes, route))
			continue;
		if (is_address(attributes[RTA_GATEWAY], &route->gateway))
			return false;
		replaced = true;
	}
	return replaced;
}

static void copy_address(uint8_t to[16], const struct rtattr *attribute)
{
	if (attribute && RTA_PAYLOAD(attribute) <= 16)
		memcpy(to, RTA_DATA(attribute), RTA_PAYLOAD(attribute));
}

static int note_stale(const struct nlmsghdr *header, void *ctx)
{
	const struct rtmsg *info = NLMSG_DATA(header);
	const struct rtattr *attributes[RTA_MAX + 1];
	struct stale *stale = ctx;
	struct stale_route *grown, *route;

	netlink_attributes(header, sizeof(*info), attributes, RTA_MAX);
	if (info->rtm_protocol != RTPROT_STATIC || info->rtm_type != RTN_UNICAST ||
	    netlink_u32(attributes[RTA_TABLE], info->rtm_table) != RT_TABLE_MAIN || !is_replaced(stale, info, attributes))
		return 0;
	grown = reallocarray(stale->routes, stale->n + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	stale->routes = grown;
	route = &stale->routes[stale->n++];
	*route = (struct stale_route){
		.info = *info,
		.index = netlink_u32(attributes[RTA_OIF], 0),
		.metric = netlink_u32(attributes[RTA_PRIORITY], 0),
		.has_gateway = attributes[RTA_GATEWAY] != NULL,
	};
	copy_address(route->destination, attributes[RTA_DST]);
	copy_address(route->gateway, attributes[RTA_GATEWAY]);
	return 0;
}

static int remove_route(int fd, const struct stale_route *route, struct err *err)
{
	size_t len = route->info.rtm_family == AF_INET ? 4 : 16;
	struct netlink_message message;

	netlink_begin(&message, RTM_DELROUTE, 0, &route->info, sizeof(route->info));
	if (route->info.rtm_dst_len)
		netlink_put(&message, RTA_DST, route->destination, len);
	if (route->has_gateway)
		netlink_put(&message, RTA_GATEWAY, route->gateway, len);
	netlink_put_u32(&message, RTA_PRIORITY, route->metric);
	netlink_put_u32(&message, RTA_OIF, route->index);
	/* The guest may have removed it first. */
	return netlink_request(fd, &message, err, "remove a route") < 0 && err->code != ESRCH ? -err->code : 0;
}

static int remove_replaced(int fd, const Cella__Agent__Network *network, struct err *err)
{
	struct rtmsg all = { .rtm_family = AF_UNSPEC };
	struct stale stale = { .network = network };
	struct netlink_message message;
	int ret;

	netlink_begin(&message, RTM_GETROUTE, 0, &all, sizeof(all));
	ret = netlink_dump(fd, &message, note_stale, &stale, err, "list the routes");
	for (size_t i = 0; i < stale.n && ret == 0; i++)
		ret = remove_route(fd, &stale.routes[i], err);
	free(stale.routes);
	return ret;
}

int routes_set_up(int fd, const Cella__Agent__Network *network, struct err *err)
{
	for (size_t i = 0; i < network->n_routes; i++)
		if (check(network->routes[i], err) < 0)
			return -err->code;
	/* What a route needs comes first: routes to the link itself before those through a gateway on it. */
	for (int through_gateway = 0; through_gateway <= 1; through_gateway++)
		for (size_t i = 0; i < network->n_routes; i++)
			if ((network->routes[i]->gateway.len > 0) == through_gateway && add_route(fd, network->routes[i], err) < 0)
				return -err->code;
	return network->n_routes ? remove_replaced(fd, network, err) : 0;
}
