/* SPDX-License-Identifier: Apache-2.0 */
/* A link's tap, and the way of frames between the two. */
#include "runtime/network_tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/tc_act/tc_mirred.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/netlink.h"

#define INGRESS_HANDLE TC_H_MAKE(TC_H_INGRESS, 0)
#define FILTER_PRIORITY 0xce11 /* tells our filter from others on the same link */
#define TAP_NAME "cella%d"     /* the number is its link's index */

int network_tap_link(const char *name)
{
	int index, end = 0;

	return sscanf(name, TAP_NAME "%n", &index, &end) == 1 && !name[end] ? index : 0;
}

void network_mac_text(const uint8_t mac[6], char text[NETWORK_MAC_TEXT])
{
	snprintf(text, NETWORK_MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

/* Its alias is the link's address: what the VMM's device is known by, once the link is gone. */
static int set_up_tap(int fd, const struct network_link *link, int index, struct err *err)
{
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC, .ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
	struct netlink_message message;
	char mac[NETWORK_MAC_TEXT];

	network_mac_text(link->mac, mac);
	netlink_begin(&message, RTM_NEWLINK, 0, &info, sizeof(info));
	netlink_put_u32(&message, IFLA_MTU, link->mtu);
	netlink_put_string(&message, IFLA_IFALIAS, mac);
	return netlink_request(fd, &message, err, "bring the tap up");
}

static int open_tap(int fd, int tun_dir, const struct network_link *link, int *ret_index, struct err *err)
{
	auto_fd tap = openat(tun_dir, "tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int header = sizeof(struct virtio_net_hdr_v1);

	snprintf(request.ifr_name, sizeof(request.ifr_name), TAP_NAME, link->index);
	if (tap < 0)
		return err_set(err, errno, "open /dev/net/tun");
	if (ioctl(tap, TUNSETIFF, &request) < 0 || ioctl(tap, TUNSETVNETHDRSZ, &header) < 0)
		return err_set(err, errno, "create tap %s", request.ifr_name);
	*ret_index = (int)if_nametoindex(request.ifr_name);
	return set_up_tap(fd, link, *ret_index, err) < 0 ? -err->code : fd_take(&tap);
}

static struct tcmsg our_filter(int link)
{
	return (struct tcmsg){
		.tcm_ifindex = link,
		.tcm_parent = INGRESS_HANDLE,
		.tcm_info = TC_H_MAKE((uint32_t)FILTER_PRIORITY << 16, htons(ETH_P_ALL)),
	};
}

int network_remove_redirect(int fd, int link, struct err *err)
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
	if (network_remove_redirect(fd, from, err) < 0)
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

int network_connect_link(int fd, int tun_dir, struct network_link *link, struct err *err)
{
	int tap_index = 0, ret;

	link->tap = open_tap(fd, tun_dir, link, &tap_index, err);
	ret = link->tap < 0 ? link->tap : redirect(fd, link->index, tap_index, err);
	if (ret == 0)
		ret = redirect(fd, tap_index, link->index, err);
	return ret < 0 ? err_wrap(err, "link %s", link->name) : 0;
}
