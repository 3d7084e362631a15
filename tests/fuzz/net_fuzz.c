/* SPDX-License-Identifier: Apache-2.0 */
/* A hostile driver of the network device; the host's side sends packets of all lengths. */
#include <linux/virtio_net.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/fuzz/device.h"
#include "vmm/virtio/net.h"

static int wire = -1;

static void set_up(struct driver *driver)
{
	static const uint8_t mac[NET_MAC_BYTES] = { 2, 0, 0, 0, 0, 1 };
	struct err err;
	int pair[2];

	device_fuzz_quiet();
	driver_init(driver);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	wire = pair[1];
	driver->device = net_new(driver->mem, driver->loop, pair[0], mac, 0, &err);
	if (!driver->device)
		abort();
}

static void host(struct driver *driver, struct input *input)
{
	static char packet[1 << 17];
	size_t len = input_take(input, 2) * (input_take(input, 1) & 1 ? 2 : 1);

	if (input_take(input, 1) & 1)
		driver->device->driver_features |= 1ULL << VIRTIO_NET_F_MRG_RXBUF;
	(void)!send(wire, packet, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)!recv(wire, packet, sizeof(packet), MSG_DONTWAIT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct driver driver;

	if (!driver.device)
		set_up(&driver);
	device_fuzz(&driver, data, size, NULL, host);
	return 0;
}
