/* SPDX-License-Identifier: Apache-2.0 */
/* Links that come and go while a VM runs. */
#include "runtime/network_sync.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/log.h"
#include "runtime/network_scan.h"
#include "runtime/network_tap.h"
#include "runtime/pod.h"
#include "runtime/vm_control.h"

void network_guest_name(struct network_guest *guest, const char *id, unsigned int number)
{
	guest->container = number ? id : "";
	*guest->device_id = '\0';
	if (number)
		pod_share_prefix(id, guest->device_id);
}

static bool has_link(const struct network *network, int index)
{
	for (size_t i = 0; i < network->n; i++)
		if (network->links[i].index == index)
			return true;
	return if_indextoname((unsigned int)index, (char[IFNAMSIZ]){ 0 }) != NULL; /* it may be down */
}

/* The part of the message that tells of a link, with the arrays that it needs. */
struct part {
	Cella__Agent__Network message;
	Cella__Agent__Interface *interface;
	Cella__Agent__Route **routes; /* owned, as the next */
	Cella__Agent__Neighbour **neighbours;
};

static int make_part(struct part *part, const struct network *network, const struct network_link *link, const char *container)
{
	const Cella__Agent__Network *all = network->message;

	part->routes = calloc(all->n_routes + 1, sizeof(*part->routes));
	part->neighbours = calloc(all->n_neighbours + 1, sizeof(*part->neighbours));
	if (!part->routes || !part->neighbours)
		return -ENOMEM;
	cella__agent__network__init(&part->message);
	part->message.container = (char *)container;
	part->message.names = all->names;
	part->interface = all->interfaces[link - network->links];
	part->message.interfaces = &part->interface;
	part->message.n_interfaces = 1;
	part->message.routes = part->routes;
	part->message.neighbours = part->neighbours;
	for (size_t i = 0; i < all->n_routes; i++)
		if (!strcmp(all->routes[i]->interface, link->name))
			part->routes[part->message.n_routes++] = all->routes[i];
	for (size_t i = 0; i < all->n_neighbours; i++)
		if (!strcmp(all->neighbours[i]->interface, link->name))
			part->neighbours[part->message.n_neighbours++] = all->neighbours[i];
	return 0;
}

static void free_part(struct part *part)
{
	free(part->routes);
	free(part->neighbours);
}

int network_tell_agent(const struct network *network, const struct network_link *link, const struct network_guest *guest,
		       struct err *err)
{
	struct part part = { .routes = NULL };
	int ret = make_part(&part, network, link, guest->container) < 0 ? err_set(err, ENOMEM, "network") :
							guest->call(guest->ctx, "SetUpNetwork", &part.message.base, err);

	free_part(&part);
	return ret;
}

uint64_t network_hash(const struct network *network, const struct network_link *link)
{
	struct part part = { .routes = NULL };
	uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */
	uint8_t *bytes = NULL;
	size_t len = 0;

	if (make_part(&part, network, link, "") == 0) {
		bytes = malloc(protobuf_c_message_get_packed_size(&part.message.base) + 1);
		len = bytes ? protobuf_c_message_pack(&part.message.base, bytes) : 0;
	}
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3;
	free(bytes);
	free_part(&part);
	return hash;
}

static int add_link(struct network *network, struct network_link *link, const struct network_guest *guest, int fd,
		    struct err *err)
{
	if (network_connect_link(fd, guest->tun_dir, link, err) < 0 ||
	    vm_control_add_net(guest->control, guest->device_id, link->mac, link->tap, err) < 0)
		return -err->code;
	return network_tell_agent(network, link, guest, err);
}

/* The guest lets go first, if it does. */
static int remove_link(const struct network_tap *tap, const struct network_guest *guest, struct err *err)
{
	Cella__Agent__RemoveInterfaceRequest request = CELLA__AGENT__REMOVE_INTERFACE_REQUEST__INIT;
	int ret;

	request.mac.data = (uint8_t *)tap->mac;
	request.mac.len = sizeof(tap->mac);
	request.container = (char *)guest->container;
	ret = guest->call(guest->ctx, "RemoveInterface", &request.base, err);
	if (ret < 0)
		log_warn("%s", err->msg);
	return vm_control_remove_net(guest->control, tap->mac, err);
}

int network_sync(struct network *network, const struct network_guest *guest, int fd, struct err *err)
{
	int ret = network_scan(network, fd, guest->proc_dir, err);

	for (size_t i = 0; i < network->ntaps && ret == 0; i++)
		if (network->taps[i].known && !has_link(network, network->taps[i].link))
			ret = remove_link(&network->taps[i], guest, err);
	for (size_t i = 0; i < network->n && ret == 0; i++)
		if (!network_has_tap(network, network->links[i].index))
			ret = add_link(network, &network->links[i], guest, fd, err);
	return ret;
}
