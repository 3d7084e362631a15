/* SPDX-License-Identifier: Apache-2.0 */
/* What is in a network namespace, as the guest is to have it. */
#include "runtime/network_scan.h"

#include <errno.h>
#include <linux/if_arp.h>
#include <linux/neighbour.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/netlink.h"
#include "runtime/names.h"
#include "runtime/network_tap.h"

#define MAC_BYTES sizeof(((struct network_link *)0)->mac)

/* One element more of a repeated field, whose elements are messages. */
static void *append(void *list, size_t *n, size_t size, void (*init)(void *message))
{
	void ***array = list;
	void **grown = realloc(*array, (*n + 1) * sizeof(**array));
	void *element = grown ? calloc(1, size) : NULL;

	if (grown)
		*array = grown;
	if (!element)
		return NULL;
	init(element);
	(*array)[(*n)++] = element;
	return element;
}

static int copy_bytes(ProtobufCBinaryData *to, const void *data, size_t len)
{
	to->data = malloc(len);
	if (!to->data)
		return -ENOMEM;
	memcpy(to->data, data, len);
	to->len = len;
	return 0;
}

static int copy_attribute(ProtobufCBinaryData *to, const struct rtattr *attribute)
{
	return attribute ? copy_bytes(to, RTA_DATA(attribute), RTA_PAYLOAD(attribute)) : 0;
}

static struct network_link *link_by_index(struct network *network, uint32_t index)
{
	for (size_t i = 0; i < network->n; i++)
		if ((uint32_t)network->links[i].index == index)
			return &network->links[i];
	return NULL;
}

/* A tap of ours: its link has a device in the VM. */
static int visit_tap(struct network *network, int link, const struct rtattr *alias)
{
	struct network_tap *tap;
	uint8_t *mac;

	if (network->ntaps == NETWORK_LINKS_MAX)
		return -E2BIG;
	tap = &network->taps[network->ntaps++];
	mac = tap->mac;
	*tap = (struct network_tap){ .link = link };
	/* One of a runtime that knew no aliases has none: its link stays. */
	tap->known = alias && sscanf(RTA_DATA(alias), "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &mac[0], &mac[1], &mac[2], &mac[3],
				     &mac[4], &mac[5]) == 6;
	return 0;
}

static bool is_tap(const struct rtattr *link_info)
{
	const struct rtattr *kind =
		link_info ? netlink_find(RTA_DATA(link_info), RTA_PAYLOAD(link_info), IFLA_INFO_KIND) : NULL;

	return kind && RTA_PAYLOAD(kind) == sizeof("tun") && !memcmp(RTA_DATA(kind), "tun", sizeof("tun"));
}

/* Ethernet links that are up. Loopback, tunnels and what is down have no place in the guest. */
static int visit_link(const struct nlmsghdr *header, void *ctx)
{
	const struct ifinfomsg *info = NLMSG_DATA(header);
	const struct rtattr *attributes[IFLA_MAX + 1];
	struct network *network = ctx;
	struct network_link *link;
	int of_link;

	netlink_attributes(header, sizeof(*info), attributes, IFLA_MAX);
	if (info->ifi_type != ARPHRD_ETHER || info->ifi_flags & IFF_LOOPBACK)
		return 0;
	if (!attributes[IFLA_IFNAME] || !attributes[IFLA_ADDRESS] || RTA_PAYLOAD(attributes[IFLA_ADDRESS]) != MAC_BYTES)
		return 0;
	of_link = network_tap_link(RTA_DATA(attributes[IFLA_IFNAME]));
	if (of_link)
		return visit_tap(network, of_link, attributes[IFLA_IFALIAS]);
	if (!(info->ifi_flags & IFF_UP))
		return 0;
	if (network->n == NETWORK_LINKS_MAX)
		return -E2BIG;
	link = &network->links[network->n++];
	*link = (struct network_link){ .index = info->ifi_index, .tap = -1, .mtu = netlink_u32(attributes[IFLA_MTU], 1500) };
	link->is_tap = is_tap(attributes[IFLA_LINKINFO]);
	snprintf(link->name, sizeof(link->name), "%s", (const char *)RTA_DATA(attributes[IFLA_IFNAME]));
	memcpy(link->mac, RTA_DATA(attributes[IFLA_ADDRESS]), MAC_BYTES);
	return 0;
}

static int add_interfaces(struct network *network)
{
	for (size_t i = 0; i < network->n; i++) {
		const struct network_link *link = &network->links[i];
		Cella__Agent__Interface *interface =
			append(&network->message->interfaces, &network->message->n_interfaces, sizeof(*interface),
			       (void (*)(void *))cella__agent__interface__init);

		if (!interface)
			return -ENOMEM;
		interface->name = strdup(link->name);
		interface->mtu = link->mtu;
		if (!interface->name || copy_bytes(&interface->mac, link->mac, MAC_BYTES) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Link-local IPv6 addresses are left out: the guest makes the same from the same MAC address. */
static int visit_address(const struct nlmsghdr *header, void *ctx)
{
	const struct ifaddrmsg *info = NLMSG_DATA(header);
	const struct rtattr *attributes[IFA_MAX + 1], *ip;
	struct network *network = ctx;
	const struct network_link *link = link_by_index(network, info->ifa_index);
	Cella__Agent__Interface *interface;
	Cella__Agent__Address *address;

	netlink_attributes(header, sizeof(*info), attributes, IFA_MAX);
	ip = attributes[IFA_LOCAL] ? attributes[IFA_LOCAL] : attributes[IFA_ADDRESS];
	if (!link || !ip || (info->ifa_family == AF_INET6 && info->ifa_scope == RT_SCOPE_LINK))
		return 0;
	interface = network->message->interfaces[link - network->links];
	address = append(&interface->addresses, &interface->n_addresses, sizeof(*address),
			 (void (*)(void *))cella__agent__address__init);
	if (!address)
		return -ENOMEM;
	address->prefix = info->ifa_prefixlen;
	address->scope = info->ifa_scope;
	if (copy_attribute(&address->ip, ip) < 0 || copy_attribute(&address->broadcast, attributes[IFA_BROADCAST]) < 0)
		return -ENOMEM;
	return copy_attribute(&address->peer, attributes[IFA_LOCAL] ? attributes[IFA_ADDRESS] : NULL);
}

/* One way of a route: through gateway, NULL: to the link itself. */
static int add_route(struct network *network, const struct network_link *link, const struct rtmsg *info,
		     const struct rtattr *const *attributes, const struct rtattr *gateway)
{
	static const uint8_t any[16];
	Cella__Agent__Route *route = append(&network->message->routes, &network->message->n_routes, sizeof(*route),
					    (void (*)(void *))cella__agent__route__init);

	if (!route)
		return -ENOMEM;
	route->interface = strdup(link->name);
	route->destination = calloc(1, sizeof(*route->destination));
	if (!route->interface || !route->destination)
		return -ENOMEM;
	cella__agent__address__init(route->destination);
	route->destination->prefix = info->rtm_dst_len;
	route->metric = netlink_u32(attributes[RTA_PRIORITY], 0);
	route->scope = info->rtm_scope;
	if (attributes[RTA_DST] ? copy_attribute(&route->destination->ip, attributes[RTA_DST]) < 0 :
				  copy_bytes(&route->destination->ip, any, info->rtm_family == AF_INET ? 4 : 16) < 0)
		return -ENOMEM;
	if (copy_attribute(&route->gateway, gateway) < 0)
		return -ENOMEM;
	return copy_attribute(&route->source, attributes[RTA_PREFSRC]);
}

/* A route with several next hops is as many routes in the guest, which takes the first that works. */
static int add_next_hops(struct network *network, const struct rtmsg *info, const struct rtattr *const *attributes)
{
	const struct rtnexthop *hop = RTA_DATA(attributes[RTA_MULTIPATH]);
	int left = (int)RTA_PAYLOAD(attributes[RTA_MULTIPATH]);
	int ret = 0;

	for (; ret == 0 && RTNH_OK(hop, left); left -= RTNH_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop)) {
		const struct network_link *link = link_by_index(network, (uint32_t)hop->rtnh_ifindex);

		if (link)
			ret = add_route(network, link, info, attributes,
					netlink_find(RTNH_DATA(hop), hop->rtnh_len - RTNH_LENGTH(0), RTA_GATEWAY));
	}
	return ret;
}

/* The main table's unicast routes, but for those that the kernel makes with each address. */
static int visit_route(const struct nlmsghdr *header, void *ctx)
{
	const struct rtmsg *info = NLMSG_DATA(header);
	const struct rtattr *attributes[RTA_MAX + 1];
	struct network *network = ctx;
	const struct network_link *link;

	netlink_attributes(header, sizeof(*info), attributes, RTA_MAX);
	if (info->rtm_type != RTN_UNICAST || info->rtm_protocol == RTPROT_KERNEL ||
	    netlink_u32(attributes[RTA_TABLE], info->rtm_table) != RT_TABLE_MAIN)
		return 0;
	if (attributes[RTA_MULTIPATH])
		return add_next_hops(network, info, attributes);
	link = link_by_index(network, netlink_u32(attributes[RTA_OIF], 0));
	return link ? add_route(network, link, info, attributes, attributes[RTA_GATEWAY]) : 0;
}

static int visit_neighbour(const struct nlmsghdr *header, void *ctx)
{
	const struct ndmsg *info = NLMSG_DATA(header);
	const struct rtattr *attributes[NDA_MAX + 1];
	struct network *network = ctx;
	const struct network_link *link = link_by_index(network, (uint32_t)info->ndm_ifindex);
	Cella__Agent__Neighbour *neighbour;

	netlink_attributes(header, sizeof(*info), attributes, NDA_MAX);
	if (!link || !(info->ndm_state & NUD_PERMANENT) || info->ndm_flags & NTF_PROXY || !attributes[NDA_DST] ||
	    !attributes[NDA_LLADDR] || RTA_PAYLOAD(attributes[NDA_LLADDR]) != MAC_BYTES)
		return 0;
	neighbour = append(&network->message->neighbours, &network->message->n_neighbours, sizeof(*neighbour),
			   (void (*)(void *))cella__agent__neighbour__init);
	if (!neighbour)
		return -ENOMEM;
	neighbour->interface = strdup(link->name);
	if (!neighbour->interface || copy_attribute(&neighbour->ip, attributes[NDA_DST]) < 0)
		return -ENOMEM;
	return copy_attribute(&neighbour->mac, attributes[NDA_LLADDR]);
}

int network_scan(struct network *network, int fd, int proc_dir, struct err *err)
{
	struct netlink_message message;
	struct ifinfomsg links = { .ifi_family = AF_UNSPEC };
	struct ifaddrmsg addresses = { .ifa_family = AF_UNSPEC };
	struct rtmsg routes = { .rtm_family = AF_UNSPEC };
	struct ndmsg neighbours = { .ndm_family = AF_UNSPEC };

	netlink_begin(&message, RTM_GETLINK, 0, &links, sizeof(links));
	if (netlink_dump(fd, &message, visit_link, network, err, "list the links") < 0)
		return -err->code;
	if (network->n == 0)
		return 0;
	network->message = calloc(1, sizeof(*network->message));
	if (network->message)
		cella__agent__network__init(network->message);
	if (!network->message || add_interfaces(network) < 0)
		return err_set(err, ENOMEM, "list the links");
	network->message->names = names_are_served(proc_dir);
	netlink_begin(&message, RTM_GETADDR, 0, &addresses, sizeof(addresses));
	if (netlink_dump(fd, &message, visit_address, network, err, "list the addresses") < 0)
		return -err->code;
	netlink_begin(&message, RTM_GETROUTE, 0, &routes, sizeof(routes));
	if (netlink_dump(fd, &message, visit_route, network, err, "list the routes") < 0)
		return -err->code;
	netlink_begin(&message, RTM_GETNEIGH, 0, &neighbours, sizeof(neighbours));
	return netlink_dump(fd, &message, visit_neighbour, network, err, "list the neighbours");
}
