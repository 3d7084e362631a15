/* SPDX-License-Identifier: Apache-2.0 */
/* From the links of a network namespace to taps and to what the guest is told. */
#include "runtime/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <linux/neighbour.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/tc_act/tc_mirred.h>
#include <linux/virtio_net.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/json.h"
#include "lib/netlink.h"

#define MAC_BYTES sizeof(((struct network_link *)0)->mac)
#define INGRESS_HANDLE TC_H_MAKE(TC_H_INGRESS, 0)
#define FILTER_PRIORITY 0xce11 /* tells our filter from others on the same link */
#define TAP_NAME "cella%d"     /* the number is its link's index */
#define SPARE_INDEX 0 /* no link has it */

/* linux.namespaces' network entry, or NULL. */
static json_t *namespace_entry(const json_t *config)
{
	const json_t *list = json_object_get(json_object_get(config, "linux"), "namespaces");
	json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry)
		if (!strcmp(json_get_string(entry, "type", ""), "network"))
			return entry;
	return NULL;
}

const char *network_namespace_path(const json_t *config)
{
	const char *path = json_get_string(namespace_entry(config), "path", "");

	return *path ? path : NULL;
}

bool network_is_the_hosts(const json_t *config)
{
	return !namespace_entry(config);
}

bool network_is_new(const json_t *config)
{
	return namespace_entry(config) && !network_namespace_path(config);
}

void network_set_namespace_path(json_t *config, const char *path)
{
	if (network_is_new(config))
		json_object_set_new(namespace_entry(config), "path", json_string(path));
}

static _Noreturn void hold(const char *namespace_path, pid_t parent, int ready)
{
	auto_fd fd = namespace_path && *namespace_path ? open(namespace_path, O_RDONLY | O_CLOEXEC) : -1;
	int error = 0;

	if (!namespace_path)
		error = unshare(CLONE_NEWNET) < 0 ? errno : 0;
	else if (*namespace_path)
		error = setns(fd, CLONE_NEWNET) < 0 ? errno : 0;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent || write(ready, &error, sizeof(error)) != sizeof(error))
		_exit(1);
	for (;;)
		pause();
}

pid_t network_hold(const char *namespace_path, struct err *err)
{
	auto_fd read_end = -1, write_end = -1;
	pid_t parent = getpid(), pid;
	int ends[2], error;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set(err, errno, "create a pipe");
	read_end = ends[0];
	write_end = ends[1];
	pid = fork();
	if (pid == 0)
		hold(namespace_path, parent, write_end);
	if (pid < 0)
		return err_set(err, errno, "fork");
	close(fd_take(&write_end));
	if (io_read_all(read_end, &error, sizeof(error)) < 0)
		error = EIO;
	if (error) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return err_set(err, error, "enter network namespace %s", namespace_path ? namespace_path : "(new)");
	}
	return pid;
}

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

static bool is_tap(const char *name)
{
	int index, end = 0;

	return sscanf(name, TAP_NAME "%n", &index, &end) == 1 && !name[end];
}

/* Ethernet links that are up, but our own taps. Loopback, tunnels and what is down have no place in the guest. */
static int visit_link(const struct nlmsghdr *header, void *ctx)
{
	const struct ifinfomsg *info = NLMSG_DATA(header);
	const struct rtattr *attributes[IFLA_MAX + 1];
	struct network *network = ctx;
	struct network_link *link;

	netlink_attributes(header, sizeof(*info), attributes, IFLA_MAX);
	if (info->ifi_type != ARPHRD_ETHER || info->ifi_flags & IFF_LOOPBACK || !(info->ifi_flags & IFF_UP))
		return 0;
	if (!attributes[IFLA_IFNAME] || !attributes[IFLA_ADDRESS] || RTA_PAYLOAD(attributes[IFLA_ADDRESS]) != MAC_BYTES)
		return 0;
	if (is_tap(RTA_DATA(attributes[IFLA_IFNAME])))
		return 0;
	if (network->n == NETWORK_LINKS_MAX)
		return -E2BIG;
	link = &network->links[network->n++];
	*link = (struct network_link){ .index = info->ifi_index, .tap = -1, .mtu = netlink_u32(attributes[IFLA_MTU], 1500) };
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
	return copy_attribute(&address->ip, ip);
}

/* The main table's unicast routes, but for those that the kernel makes with each address. */
static int visit_route(const struct nlmsghdr *header, void *ctx)
{
	static const uint8_t any[16];
	const struct rtmsg *info = NLMSG_DATA(header);
	const struct rtattr *attributes[RTA_MAX + 1];
	struct network *network = ctx;
	const struct network_link *link;
	Cella__Agent__Route *route;

	netlink_attributes(header, sizeof(*info), attributes, RTA_MAX);
	link = link_by_index(network, netlink_u32(attributes[RTA_OIF], 0));
	if (!link || info->rtm_type != RTN_UNICAST || info->rtm_protocol == RTPROT_KERNEL ||
	    netlink_u32(attributes[RTA_TABLE], info->rtm_table) != RT_TABLE_MAIN)
		return 0;
	route = append(&network->message->routes, &network->message->n_routes, sizeof(*route),
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
	if (copy_attribute(&route->gateway, attributes[RTA_GATEWAY]) < 0)
		return -ENOMEM;
	return copy_attribute(&route->source, attributes[RTA_PREFSRC]);
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

static int scan(struct network *network, int fd, struct err *err)
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
	netlink_begin(&message, RTM_GETADDR, 0, &addresses, sizeof(addresses));
	if (netlink_dump(fd, &message, visit_address, network, err, "list the addresses") < 0)
		return -err->code;
	netlink_begin(&message, RTM_GETROUTE, 0, &routes, sizeof(routes));
	if (netlink_dump(fd, &message, visit_route, network, err, "list the routes") < 0)
		return -err->code;
	netlink_begin(&message, RTM_GETNEIGH, 0, &neighbours, sizeof(neighbours));
	return netlink_dump(fd, &message, visit_neighbour, network, err, "list the neighbours");
}

/* The tap goes away with its descriptor. */
static int open_tap(int fd, const struct network_link *link, int *ret_index, struct err *err)
{
	auto_fd tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int header = sizeof(struct virtio_net_hdr_v1);
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC, .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
	struct netlink_message message;

	snprintf(request.ifr_name, sizeof(request.ifr_name), TAP_NAME, link->index);
	if (tap < 0)
		return err_set(err, errno, "open /dev/net/tun");
	if (ioctl(tap, TUNSETIFF, &request) < 0 || ioctl(tap, TUNSETVNETHDRSZ, &header) < 0)
		return err_set(err, errno, "create tap %s", request.ifr_name);
	info.ifi_index = (int)if_nametoindex(request.ifr_name);
	netlink_begin(&message, RTM_NEWLINK, 0, &info, sizeof(info));
	netlink_put_u32(&message, IFLA_MTU, link->mtu);
	if (netlink_request(fd, &message, err, "bring the tap up") < 0)
		return -err->code;
	*ret_index = info.ifi_index;
	return fd_take(&tap);
}

static struct tcmsg our_filter(int link)
{
	return (struct tcmsg){
		.tcm_ifindex = link,
		.tcm_parent = INGRESS_HANDLE,
		.tcm_info = TC_H_MAKE((uint32_t)FILTER_PRIORITY << 16, htons(ETH_P_ALL)),
	};
}

/* Whether or not there is one. */
static int remove_redirect(int fd, int link, struct err *err)
{
	struct tcmsg filter = our_filter(link);
	struct netlink_message message;

	netlink_begin(&message, RTM_DELTFILTER, 0, &filter, sizeof(filter));
	netlink_put_string(&message, TCA_KIND, "matchall");
	if (netlink_request(fd, &message, err, "remove the redirect") == 0 || err->code == ENOENT || err->code == EINVAL)
		return 0;
	return -err->code;
}

/* Every frame that comes in at link `from` leaves through link `to` (tc-mirred(8)), and nothing else sees it. */
static int redirect(int fd, int from, int to, struct err *err)
{
	struct tcmsg qdisc = { .tcm_ifindex = from, .tcm_handle = INGRESS_HANDLE, .tcm_parent = TC_H_INGRESS };
	struct tcmsg filter = our_filter(from);
	struct tc_mirred mirred = { .action = TC_ACT_STOLEN, .eaction = TCA_EGRESS_REDIR, .ifindex = (uint32_t)to };
	struct netlink_message message;
	size_t options, actions, action, action_options;

	netlink_begin(&message, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, &qdisc, sizeof(qdisc));
	netlink_put_string(&message, TCA_KIND, "ingress");
	if (netlink_request(fd, &message, err, "add an ingress queue") < 0 && err->code != EEXIST)
		return -err->code;
	/* A runtime that was killed may have left one. */
	if (remove_redirect(fd, from, err) < 0)
		return -err->code;
	netlink_begin(&message, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, &filter, sizeof(filter));
	netlink_put_string(&message, TCA_KIND, "matchall");
	options = netlink_nest(&message, TCA_OPTIONS);
	actions = netlink_nest(&message, TCA_MATCHALL_ACT);
	action = netlink_nest(&message, 1);
	netlink_put_string(&message, TCA_ACT_KIND, "mirred");
	action_options = netlink_nest(&message, TCA_ACT_OPTIONS);
	netlink_put(&message, TCA_MIRRED_PARMS, &mirred, sizeof(mirred));
	netlink_nest_end(&message, action_options);
	netlink_nest_end(&message, action);
	netlink_nest_end(&message, actions);
	netlink_nest_end(&message, options);
	return netlink_request(fd, &message, err, "redirect its frames");
}

static int connect_link(int fd, struct network_link *link, struct err *err)
{
	int tap_index, ret;

	link->tap = open_tap(fd, link, &tap_index, err);
	ret = link->tap < 0 ? link->tap : redirect(fd, link->index, tap_index, err);
	if (ret == 0)
		ret = redirect(fd, tap_index, link->index, err);
	return ret < 0 ? err_wrap(err, "link %s", link->name) : 0;
}

static int take_over_here(struct network *network, int fd, struct err *err)
{
	int ret = scan(network, fd, err);

	for (size_t i = 0; i < network->n && ret == 0; i++)
		ret = connect_link(fd, &network->links[i], err);
	return ret;
}

/* A locally administered unicast address (IEEE 802, first octet x2). */
static int make_mac(uint8_t mac[MAC_BYTES], struct err *err)
{
	if (getrandom(mac, MAC_BYTES, 0) != MAC_BYTES)
		return err_set(err, errno, "getrandom");
	mac[0] = (uint8_t)((mac[0] & ~1) | 2);
	return 0;
}

static int make_spare_here(struct network *network, int fd, struct err *err)
{
	struct network_link *link = &network->links[0];
	int index;

	*link = (struct network_link){ .index = SPARE_INDEX, .mtu = 1500 };
	if (make_mac(link->mac, err) < 0)
		return -err->code;
	link->tap = open_tap(fd, link, &index, err);
	network->n = link->tap < 0 ? 0 : 1;
	return link->tap < 0 ? link->tap : 0;
}

static int use_spare_here(struct network *network, int fd, struct err *err)
{
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC };
	struct netlink_message message;
	struct network_link *link = &network->links[0];
	char tap[IFNAMSIZ];

	if (scan(network, fd, err) < 0)
		return -err->code;
	if (network->n == 0)
		return 0;
	if (network->n > 1)
		return err_msg(err, ENOTSUP, "%zu links were added after create, and the VM has one device for them", network->n);
	snprintf(tap, sizeof(tap), TAP_NAME, SPARE_INDEX);
	info.ifi_index = (int)if_nametoindex(tap);
	netlink_begin(&message, RTM_NEWLINK, 0, &info, sizeof(info));
	netlink_put_u32(&message, IFLA_MTU, link->mtu);
	if (netlink_request(fd, &message, err, "set the tap's MTU") < 0 || redirect(fd, link->index, info.ifi_index, err) < 0 ||
	    redirect(fd, info.ifi_index, link->index, err) < 0)
		return err_wrap(err, "link %s", link->name);
	return 0;
}

/* Links without a live tap: one that has a tap is another VM's by now. */
static int give_back_here(struct network *network, int fd, struct err *err)
{
	struct ifinfomsg links = { .ifi_family = AF_UNSPEC };
	struct netlink_message message;
	char tap[IFNAMSIZ];
	int ret;

	netlink_begin(&message, RTM_GETLINK, 0, &links, sizeof(links));
	ret = netlink_dump(fd, &message, visit_link, network, err, "list the links");
	for (size_t i = 0; i < network->n && ret == 0; i++) {
		snprintf(tap, sizeof(tap), TAP_NAME, network->links[i].index);
		if (!if_nametoindex(tap))
			ret = remove_redirect(fd, network->links[i].index, err);
	}
	return ret;
}

/* Does something in a network namespace and comes back. */
static int within(const char *namespace_path, int (*act)(struct network *network, int fd, struct err *err),
		  struct network *network, struct err *err)
{
	auto_fd own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), other = open(namespace_path, O_RDONLY | O_CLOEXEC);
	auto_fd fd = -1;
	int ret;

	if (own < 0 || other < 0 || setns(other, CLONE_NEWNET) < 0)
		return err_set(err, errno, "join network namespace %s", namespace_path);
	fd = netlink_open(err);
	ret = fd < 0 ? fd : act(network, fd, err);
	if (ret < 0)
		err_wrap(err, "network namespace %s", namespace_path);
	/* What follows would happen in the wrong place. */
	if (setns(own, CLONE_NEWNET) < 0)
		abort();
	return ret;
}

int network_take_over(struct network *network, const char *namespace_path, struct err *err)
{
	*network = (struct network){ .n = 0 };
	return namespace_path ? within(namespace_path, take_over_here, network, err) : 0;
}

int network_give_back(const char *namespace_path, struct err *err)
{
	struct network network = { .n = 0 };

	/* A namespace that is gone has taken everything with it. */
	if (!namespace_path || access(namespace_path, F_OK) < 0)
		return 0;
	return within(namespace_path, give_back_here, &network, err);
}

int network_make_spare(struct network *network, const char *namespace_path, struct err *err)
{
	*network = (struct network){ .n = 0 };
	return within(namespace_path, make_spare_here, network, err);
}

int network_use_spare(struct network *network, const char *namespace_path, const uint8_t mac[6], struct err *err)
{
	*network = (struct network){ .n = 0 };
	if (within(namespace_path, use_spare_here, network, err) < 0)
		return -err->code;
	if (network->n && copy_bytes(&network->message->interfaces[0]->device_mac, mac, MAC_BYTES) < 0)
		return err_set(err, ENOMEM, "network");
	return 0;
}

void network_release(struct network *network)
{
	for (size_t i = 0; i < network->n; i++)
		if (network->links[i].tap >= 0)
			close(network->links[i].tap);
	if (network->message)
		cella__agent__network__free_unpacked(network->message, NULL);
	*network = (struct network){ .n = 0 };
}
