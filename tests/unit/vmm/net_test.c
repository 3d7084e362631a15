/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/virtio/net.h"

#include <linux/virtio_net.h>
#include <sys/socket.h>

#include "tests/unit/test.h"
#include "tests/unit/vmm/driver.h"

enum { RX, TX };

#define HEADER sizeof(struct virtio_net_hdr_v1)
#define MERGE (1ULL << VIRTIO_NET_F_MRG_RXBUF)

static struct driver driver;
static int wire; /* the other end of what stands for the tap: a socket that keeps packets apart */

static int set_up_with(uint64_t bytes_per_second)
{
	static const uint8_t mac[NET_MAC_BYTES] = { 2, 0, 0, 0, 0, 1 };
	struct err err;
	int pair[2];

	driver_init(&driver);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	wire = pair[1];
	driver.device = net_new(driver.mem, driver.loop, pair[0], mac, bytes_per_second, &err);
	assert_non_null(driver.device);
	driver.device->driver_features = MERGE;
	driver_start(&driver);
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	return set_up_with(0);
}

/* A tenth of it, 10000 bytes, at once. */
static int set_up_limited(void **state)
{
	(void)state;
	return set_up_with(100000);
}

static int tear_down(void **state)
{
	(void)state;
	net_free(driver.device);
	close(wire);
	driver_done(&driver);
	return 0;
}

/* n receive buffers of len bytes each, at DRIVER_DATA and every 64 KiB. */
static void offer_buffers(unsigned int n, uint32_t len)
{
	for (unsigned int i = 0; i < n; i++) {
		struct driver_buffer buffer = { DRIVER_DATA + i * 0x10000, len, VRING_DESC_F_WRITE };

		driver_offer(&driver, RX, i, &buffer, 1);
	}
	driver_kick(&driver, RX);
}

static void wire_sends(size_t len, char fill)
{
	static char packet[70000];

	memset(packet, fill, len);
	memset(packet, 0, HEADER);
	assert_int_equal(send(wire, packet, len, 0), len);
	driver_step(&driver);
}

static uint16_t num_buffers(void)
{
	return ((struct virtio_net_hdr_v1 *)driver_data(&driver, 0, HEADER))->num_buffers;
}

static void test_a_packet_goes_out_as_it_is(void **state)
{
	struct driver_buffer chain[2] = { { DRIVER_DATA, HEADER, 0 }, { DRIVER_DATA + 100, 60, 0 } };
	char packet[200];

	(void)state;
	memset(driver_data(&driver, 100, 60), 'o', 60);
	driver_offer(&driver, TX, 0, chain, 2);
	driver_kick(&driver, TX);
	assert_int_equal(recv(wire, packet, sizeof(packet), MSG_DONTWAIT), HEADER + 60);
	assert_int_equal(packet[HEADER + 59], 'o');
	assert_int_equal(driver_used(&driver, TX), 1);
}

static void test_a_packet_comes_in_one_buffer(void **state)
{
	(void)state;
	offer_buffers(2, 2048);
	wire_sends(HEADER + 60, 'i');
	assert_int_equal(driver_used(&driver, RX), 1);
	assert_int_equal(driver_used_len(&driver, RX, 0), HEADER + 60);
	assert_int_equal(num_buffers(), 1);
	assert_int_equal(*(char *)driver_data(&driver, HEADER + 59, 1), 'i');
}

static void test_a_large_packet_is_spread_over_buffers(void **state)
{
	(void)state;
	offer_buffers(8, 2048);
	wire_sends(5000, 'l');
	assert_int_equal(driver_used(&driver, RX), 3);
	assert_int_equal(num_buffers(), 3);
	assert_int_equal(driver_used_len(&driver, RX, 2), 5000 - 2 * 2048);
	assert_int_equal(*(char *)driver_data(&driver, 0x20000, 1), 'l');
}

/* Too few buffers: none is used up, and the packet comes once there are more. */
static void test_a_packet_waits_for_buffers(void **state)
{
	struct driver_buffer buffer = { DRIVER_DATA + 0x10000, 2048, VRING_DESC_F_WRITE };

	(void)state;
	driver.device->queues[RX].event_idx = true;
	offer_buffers(1, 2048);
	wire_sends(3000, 'w');
	assert_int_equal(driver_used(&driver, RX), 0);
	/* The next buffer, not the one that is there already, is worth a notification; and nobody spins until then. */
	assert_int_equal(((uint16_t *)memory_at(driver.mem, DRIVER_USED(RX), 256))[2 + 4 * DRIVER_QUEUE_SIZE], 1);
	assert_int_equal(loop_step(driver.loop, 0), 0);
	wire_sends(100, 'x');
	driver_offer(&driver, RX, 1, &buffer, 1);
	driver_kick(&driver, RX);
	assert_int_equal(driver_used(&driver, RX), 2);
	assert_int_equal(num_buffers(), 2);
}

static void test_without_merging_what_does_not_fit_is_dropped(void **state)
{
	(void)state;
	driver.device->driver_features = 0;
	offer_buffers(4, 1000);
	wire_sends(3000, 'd');
	assert_int_equal(driver_used(&driver, RX), 0);
	wire_sends(500, 'k');
	assert_int_equal(driver_used(&driver, RX), 1);
	assert_int_equal(driver_used_len(&driver, RX, 0), 500);
}

static void test_malformed_buffers_stop_the_device(void **state)
{
	(void)state;
	offer_buffers(1, HEADER - 1);
	wire_sends(100, 'm');
	assert_true(driver.device->queues[RX].broken);
}

/* Packets without a header, or longer than any can be, go nowhere; the chain comes back. */
static void test_packets_that_are_none(void **state)
{
	struct driver_buffer tiny = { DRIVER_DATA, HEADER - 1, 0 }, huge = { DRIVER_DATA, 100000, 0 };
	char byte;

	(void)state;
	driver_offer(&driver, TX, 0, &tiny, 1);
	driver_offer(&driver, TX, 1, &huge, 1);
	driver_kick(&driver, TX);
	assert_int_equal(driver_used(&driver, TX), 2);
	assert_int_equal(recv(wire, &byte, 1, MSG_DONTWAIT), -1);
}

/* 60000 bytes overdraw the bucket of 10000: what follows waits for half a second, both ways, and then comes by itself. */
static void test_a_rate_is_kept(void **state)
{
	struct driver_buffer large = { DRIVER_DATA, 60000, 0 }, small = { DRIVER_DATA + 0x10000, 100, 0 };
	static char packet[70000];

	(void)state;
	memset(driver_data(&driver, 0, 60000), 0, 60000);
	driver_offer(&driver, TX, 0, &large, 1);
	driver_offer(&driver, TX, 1, &small, 1);
	driver_kick(&driver, TX);
	assert_int_equal(driver_used(&driver, TX), 1);
	driver_kick(&driver, TX);
	assert_int_equal(driver_used(&driver, TX), 1);
	assert_true(loop_step(driver.loop, 5000) >= 0);
	assert_int_equal(driver_used(&driver, TX), 2);
	assert_int_equal(recv(wire, packet, sizeof(packet), MSG_DONTWAIT), 60000);
	assert_int_equal(recv(wire, packet, sizeof(packet), MSG_DONTWAIT), 100);

	offer_buffers(3, 0x10000);
	wire_sends(60000, 'a');
	wire_sends(100, 'b');
	assert_int_equal(driver_used(&driver, RX), 1);
	while (driver_used(&driver, RX) == 1) /* the timers, then the tap */
		assert_true(loop_step(driver.loop, 5000) > 0);
	assert_int_equal(driver_used(&driver, RX), 2);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

TESTS(T(test_a_packet_goes_out_as_it_is), T(test_a_packet_comes_in_one_buffer),
      T(test_a_large_packet_is_spread_over_buffers), T(test_a_packet_waits_for_buffers),
      T(test_without_merging_what_does_not_fit_is_dropped), T(test_malformed_buffers_stop_the_device),
      T(test_packets_that_are_none),
      cmocka_unit_test_setup_teardown(test_a_rate_is_kept, set_up_limited, tear_down))
