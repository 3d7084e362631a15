/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's network. */
#include "agent/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/guest.h"
#include "agent/network_namespace.h"
#include "agent/routes.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/log.h"
#include "lib/netlink.h"

#define MAC_BYTES 6
#define DEVICES_MAX 16 /* in one namespace; the VMM has less */

/* Where a network is set up: rtnetlink sockets there and in the guest's own namespace, which may be the same. */
struct place {
	int namespace;
	int fd, guest_fd;
};

struct find {
	const ProtobufCBinaryData *mac;
	int index; /* 0: not found */
};

static int match_mac(const struct nlmsghdr *header, void *ctx)
{
	const struct ifinfomsg *info = NLMSG_DATA(header);
	const struct rtattr *attributes[IFLA_MAX + 1];
	struct find *find = ctx;

	netlink_attributes(header, sizeof(*info), attributes, IFLA_MAX);
	if (attributes[IFLA_ADDRESS] && RTA_PAYLOAD(attributes[IFLA_ADDRESS]) == find->mac->len &&
	    !memcmp(RTA_DATA(attributes[IFLA_ADDRESS]), find->mac->data, find->mac->len))
		find->index = info->ifi_index;
	return 0;
}

/* The interface with this address; 0: there is none. */
static int find_mac(int fd, const ProtobufCBinaryData *mac, struct err *err)
{
	struct find find = { .mac = mac };
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC };
	struct netlink_message message;

	if (mac->len != MAC_BYTES)
		return err_msg(err, EINVAL, "an interface's address of %zu bytes", mac->len);
	netlink_begin(&message, RTM_GETLINK, 0, &info, sizeof(info));
	if (netlink_dump(fd, &message, match_mac, &find, err, "list the interfaces") < 0)
		return -err->code;
	return find.index;
}

/*
 * Devices come into the guest's own namespace: its own before the guest boots or while it runs, others' while it runs. What is
 * there with the address of one of those may be one that is gone (guest_find_devices lets it go).
 */
static int find_new_device(const struct place *place, const ProtobufCBinaryData *mac, struct err *err)
{
	int index = place->namespace == NETWORK_OF_GUEST ? find_mac(place->guest_fd, mac, err) : 0;

	if (index)
		return index;
	return guest_find_devices(err) < 0 ? -err->code : find_mac(place->guest_fd, mac, err);
}

/* Under a name that nothing else has there. fd: where the link is. */
static int move_link(int fd, int index, int namespace, struct err *err)
{
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC, .ifi_index = index };
	struct netlink_message message;
	char name[IFNAMSIZ];

	snprintf(name, sizeof(name), "unnamed%d", index);
	netlink_begin(&message, RTM_NEWLINK, 0, &info, sizeof(info));
	netlink_put_u32(&message, IFLA_NET_NS_FD, (uint32_t)namespace);
	netlink_put_string(&message, IFLA_IFNAME, name);
	return netlink_request(fd, &message, err, "move it to another network namespace");
}

static int find_device(const struct place *place, const Cella__Agent__Interface *interface, struct err *err)
{
	int index;

	if (strlen(interface->name) >= IFNAMSIZ || !*interface->name)
		return err_msg(err, EINVAL, "an interface's name");
	index = find_mac(place->fd, &interface->mac, err);
	if (index)
		return index;
	index = find_new_device(place, &interface->mac, err);
	if (index == 0)
		return err_msg(err, ENODEV, "there is no device for interface %s", interface->name);
	if (index < 0 || place->namespace == NETWORK_OF_GUEST)
		return index;
	if (move_link(place->guest_fd, index, place->namespace, err) < 0)
		return -err->code;
	index = find_mac(place->fd, &interface->mac, err);
	return index ? index : err_msg(err, ENODEV, "interface %s is lost", interface->name);
}

/* The host has looked for duplicates: the link-local address can be used at once, as all others. */
static int trust_addresses(const char *name, struct err *err)
{
	char path[80];
	int ret;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/accept_dad", name);
	ret = io_write_file(AT_FDCWD, path, "0", err);
	return ret == -ENOENT ? 0 : ret; /* no IPv6 on this interface */
}

/* The kernel has named devices as they came: one that still waits for its own name makes room for another. */
static int free_name(int fd, const char *name, struct err *err)
{
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC, .ifi_index = (int)if_nametoindex(name) };
	struct netlink_message message;
	char other[IFNAMSIZ];

	if (!info.ifi_index)
		return 0;
	snprintf(other, sizeof(other), "unnamed%d", info.ifi_index);
	netlink_begin(&message, RTM_NEWLINK, 0, &info, sizeof(info));
	netlink_put_string(&message, IFLA_IFNAME, other);
	return netlink_request(fd, &message, err, "make room for its name");
}

/* Name and MTU first: a link that is up cannot be renamed. */
static int set_link(int fd, int index, const Cella__Agent__Interface *interface, struct err *err)
{
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC, .ifi_index = index };
	struct netlink_message message;
	char name[IFNAMSIZ];

	netlink_begin(&message, RTM_NEWLINK, 0, &info, sizeof(info));
	if (!if_indextoname((unsigned int)index, name) || strcmp(name, interface->name)) {
		if (free_name(fd, interface->name, err) < 0)
			return -err->code;
		netlink_put_string(&message, IFLA_IFNAME, interface->name);
	}
	if (interface->mtu)
		netlink_put_u32(&message, IFLA_MTU, interface->mtu);
	if (netlink_request(fd, &message, err, "set name and MTU") < 0)
		return -err->code;
	if (trust_addresses(interface->name, err) < 0)
		return -err->code;
	info.ifi_flags = info.ifi_change = IFF_UP;
	netlink_begin(&message, RTM_NEWLINK, 0, &info, sizeof(info));
	return netlink_request(fd, &message, err, "bring it up");
}

static int add_address(int fd, int index, const Cella__Agent__Address *address, struct err *err)
{
	int family = netlink_family(address->ip.len);
	struct ifaddrmsg info = {
		.ifa_family = (uint8_t)family,
		.ifa_prefixlen = (uint8_t)address->prefix,
		.ifa_scope = (uint8_t)address->scope,
		.ifa_flags = IFA_F_PERMANENT | (family == AF_INET6 ? IFA_F_NODAD : 0), /* the host has looked already */
		.ifa_index = (unsigned int)index,
	};
	struct netlink_message message;
	int ret;

	if (family == AF_UNSPEC || address->prefix > address->ip.len * 8)
		return err_msg(err, EINVAL, "an address of %zu bytes with prefix %u", address->ip.len, address->prefix);
	netlink_begin(&message, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &info, sizeof(info));
	netlink_put(&message, IFA_LOCAL, address->ip.data, address->ip.len);
	if (address->peer.len == address->ip.len)
		netlink_put(&message, IFA_ADDRESS, address->peer.data, address->peer.len);
	else
		netlink_put(&message, IFA_ADDRESS, address->ip.data, address->ip.len);
	if (address->broadcast.len == address->ip.len)
		netlink_put(&message, IFA_BROADCAST, address->broadcast.data, address->broadcast.len);
	ret = netlink_request(fd, &message, err, "add an address");
	/* A router's advertisement made the kernel add it by itself while it was adding ours: now it is there to be replaced. */
	return ret == -EEXIST ? netlink_request(fd, &message, err, "replace an address") : ret;
}

static int set_up_interface(const struct place *place, const Cella__Agent__Interface *interface, struct err *err)
{
	int index = find_device(place, interface, err), ret;

	if (index < 0)
		return index;
	ret = set_link(place->fd, index, interface, err);
	for (size_t i = 0; i < interface->n_addresses && ret == 0; i++)
		ret = add_address(place->fd, index, interface->addresses[i], err);
	return ret < 0 ? err_wrap(err, "interface %s", interface->name) : 0;
}

static int index_of(const char *name, struct err *err)
{
	unsigned int index = if_nametoindex(name);

	return index ? (int)index : err_msg(err, ENODEV, "there is no interface %s", name);
}

static int add_neighbour(int fd, const Cella__Agent__Neighbour *neighbour, struct err *err)
{
	struct ndmsg info = { .ndm_family = (uint8_t)netlink_family(neighbour->ip.len), .ndm_state = NUD_PERMANENT };
	int index = index_of(neighbour->interface, err);
	struct netlink_message message;

	if (index < 0)
		return index;
	if (info.ndm_family == AF_UNSPEC || neighbour->mac.len != MAC_BYTES)
		return err_msg(err, EINVAL, "a neighbour's addresses are malformed");
	info.ndm_ifindex = index;
	netlink_begin(&message, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &info, sizeof(info));
	netlink_put(&message, NDA_DST, neighbour->ip.data, neighbour->ip.len);
	netlink_put(&message, NDA_LLADDR, neighbour->mac.data, neighbour->mac.len);
	return netlink_request(fd, &message, err, "add a neighbour");
}

/* What is done in a namespace, with the agent in it. */
typedef int place_handler(const struct place *place, void *ctx, struct err *err);

static int act_within(int namespace, place_handler *act, void *ctx, struct err *err)
{
	auto_fd guest_fd = netlink_open(err), fd = -1;
	struct place place = { .namespace = namespace, .fd = guest_fd, .guest_fd = guest_fd };
	int ret;

	if (guest_fd < 0 || network_namespace_enter(namespace, err) < 0)
		return -err->code;
	if (namespace != NETWORK_OF_GUEST)
		place.fd = fd = netlink_open(err);
	ret = place.fd < 0 ? -err->code : act(&place, ctx, err);
	network_namespace_leave(namespace);
	return ret;
}

static int set_up(const struct place *place, void *ctx, struct err *err)
{
	const Cella__Agent__Network *network = ctx;
	int ret = 0;

	for (size_t i = 0; i < network->n_interfaces && ret == 0; i++)
		ret = set_up_interface(place, network->interfaces[i], err);
	if (ret == 0)
		ret = routes_set_up(place->fd, network, err);
	for (size_t i = 0; i < network->n_neighbours && ret == 0; i++)
		ret = add_neighbour(place->fd, network->neighbours[i], err);
	return ret;
}

int network_set_up(const Cella__Agent__Network *network, int namespace, struct err *err)
{
	if (!network)
		return 0;
	return act_within(namespace, set_up, (void *)network, err) < 0 ? err_wrap(err, "network") : 0;
}

/* The host's devices in a namespace. */
struct devices {
	const ProtobufCBinaryData *mac; /* only this one; NULL: all */
	struct {
		int index;
		uint8_t mac[MAC_BYTES];
	} found[DEVICES_MAX];
	size_t n;
};

static int note_device(const struct nlmsghdr *header, void *ctx)
{
	const struct ifinfomsg *info = NLMSG_DATA(header);
	const struct rtattr *attributes[IFLA_MAX + 1], *mac, *bus;
	struct devices *devices = ctx;

	netlink_attributes(header, sizeof(*info), attributes, IFLA_MAX);
	mac = attributes[IFLA_ADDRESS];
	bus = attributes[IFLA_PARENT_DEV_BUS_NAME];
	if (!mac || RTA_PAYLOAD(mac) != MAC_BYTES || !bus || strncmp(RTA_DATA(bus), "virtio", RTA_PAYLOAD(bus)) ||
	    devices->n == DEVICES_MAX)
		return 0;
	if (devices->mac && memcmp(devices->mac->data, RTA_DATA(mac), MAC_BYTES))
		return 0;
	devices->found[devices->n].index = info->ifi_index;
	memcpy(devices->found[devices->n++].mac, RTA_DATA(mac), MAC_BYTES);
	return 0;
}

/* Back to the guest's namespace: sysfs, through which a driver lets go, shows no other's. */
static int move_back(const struct place *place, void *ctx, struct err *err)
{
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC };
	struct netlink_message message;
	struct devices *devices = ctx;
	int of_guest = network_namespace_of_guest(err), ret;

	if (of_guest < 0)
		return of_guest;
	netlink_begin(&message, RTM_GETLINK, 0, &info, sizeof(info));
	ret = netlink_dump(place->fd, &message, note_device, devices, err, "list the interfaces");
	for (size_t i = 0; i < devices->n && ret == 0 && place->namespace != NETWORK_OF_GUEST; i++)
		ret = move_link(place->fd, devices->found[i].index, of_guest, err);
	return ret;
}

static int unbind(const uint8_t mac[MAC_BYTES], struct err *err)
{
	ProtobufCBinaryData wanted = { .data = (uint8_t *)mac, .len = MAC_BYTES };
	auto_fd fd = netlink_open(err);
	int index = fd < 0 ? fd : find_mac(fd, &wanted, err);
	char name[IFNAMSIZ];

	if (index <= 0)
		return index;
	return if_indextoname((unsigned int)index, name) ? guest_unbind("net", name, err) : 0;
}

static int let_go(struct devices *devices, int namespace, struct err *err)
{
	int ret = act_within(namespace, move_back, devices, err);

	for (size_t i = 0; i < devices->n && ret == 0; i++)
		ret = unbind(devices->found[i].mac, err);
	return ret;
}

int network_remove(const ProtobufCBinaryData *mac, int namespace, struct err *err)
{
	struct devices devices = { .mac = mac };

	return mac->len == MAC_BYTES ? let_go(&devices, namespace, err) :
				       err_msg(err, EINVAL, "an interface's address of %zu bytes", mac->len);
}

int network_remove_all(int namespace, struct err *err)
{
	struct devices devices = { .mac = NULL };

	return namespace == NETWORK_OF_GUEST ? 0 : let_go(&devices, namespace, err);
}

static int open_here(const struct place *place, void *ctx, struct err *err)
{
	(void)place;
	(void)ctx;
	if (io_write_file(AT_FDCWD, "/proc/sys/net/ipv4/ip_unprivileged_port_start", "0", err) < 0)
		return -err->code;
	return io_write_file(AT_FDCWD, "/proc/sys/net/ipv4/ping_group_range", "0 2147483647", err);
}

int network_open_to_all(int namespace, struct err *err)
{
	return act_within(namespace, open_here, NULL, err);
}
