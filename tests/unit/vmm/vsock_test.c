/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/virtio/vsock.h"

#include <linux/virtio_vsock.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "lib/fdpass.h"
#include "lib/io.h"
#include "tests/unit/test.h"
#include "tests/unit/vmm/driver.h"
#include "vmm/virtio/device_state.h"

enum { RX, TX };

#define RX_BUFFERS 0x100000ULL
#define TX_BUFFER 0x200000ULL
#define CID 7

static struct driver driver;
static char directory[64], path[96];
static int listener;
static uint32_t guest_buffer = 65536; /* the credit that the guest gives */

static int set_up(void **state)
{
	struct err err;

	(void)state;
	strcpy(directory, "/tmp/cella-vsock-test.XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/vsock", directory);
	driver_init(&driver);
	listener = fdpass_listen(path, 8, &err);
	driver.device = vsock_new(driver.mem, driver.loop, CID, listener, path, &err);
	assert_non_null(driver.device);
	driver_start(&driver);
	for (unsigned int i = 0; i < 8; i++) {
		struct driver_buffer buffer = { RX_BUFFERS + i * 0x2000, 0x2000, VRING_DESC_F_WRITE };

		driver_offer(&driver, RX, i, &buffer, 1);
	}
	return 0;
}

static int tear_down(void **state)
{
	struct err err;

	(void)state;
	vsock_free(driver.device);
	close(listener);
	driver_done(&driver);
	return io_remove_tree(AT_FDCWD, directory, &err);
}

/* The n-th packet that the device has sent. */
static struct virtio_vsock_hdr received(unsigned int n)
{
	struct virtio_vsock_hdr hdr = { 0 };

	assert_true(driver_used(&driver, RX) > n);
	memcpy(&hdr, memory_at(driver.mem, RX_BUFFERS + driver_used_head(&driver, RX, n) * 0x2000ULL, sizeof(hdr)), sizeof(hdr));
	return hdr;
}

static unsigned int received_count(void)
{
	return driver_used(&driver, RX);
}

static void guest_sends(uint16_t op, uint32_t host_port, uint32_t guest_port, const char *data, uint32_t len)
{
	static unsigned int next;
	struct virtio_vsock_hdr hdr = {
		.src_cid = CID, .dst_cid = 2, .src_port = guest_port, .dst_port = host_port, .len = len,
		.type = VIRTIO_VSOCK_TYPE_STREAM, .op = op, .buf_alloc = guest_buffer,
	};
	struct driver_buffer buffer = { TX_BUFFER, (uint32_t)sizeof(hdr) + len, 0 };

	memcpy(memory_at(driver.mem, TX_BUFFER, sizeof(hdr)), &hdr, sizeof(hdr));
	if (len)
		memcpy(memory_at(driver.mem, TX_BUFFER + sizeof(hdr), len), data, len);
	driver_offer(&driver, TX, next++ % 8, &buffer, 1);
	driver_kick(&driver, TX);
}

static int dial(const char *line)
{
	struct err err;
	int fd = fdpass_connect(path, &err);

	assert_int_equal(io_write_all(fd, line, strlen(line)), 0);
	for (int i = 0; i < 5; i++)
		assert_true(loop_step(driver.loop, 10) >= 0);
	return fd;
}

static void test_the_host_reaches_a_guest_port(void **state)
{
	struct virtio_vsock_hdr hdr;
	char buf[64] = "";
	int fd = dial("CONNECT 1234\nearly");

	(void)state;
	hdr = received(0);
	assert_int_equal(hdr.op, VIRTIO_VSOCK_OP_REQUEST);
	assert_int_equal(hdr.dst_port, 1234);
	guest_sends(VIRTIO_VSOCK_OP_RESPONSE, hdr.src_port, 1234, NULL, 0);
	for (int i = 0; i < 5; i++)
		assert_true(loop_step(driver.loop, 10) >= 0);
	assert_true(recv(fd, buf, sizeof(buf), 0) > 3);
	assert_memory_equal(buf, "OK ", 3);
	/* What came right behind the line is data. */
	assert_int_equal(received(1).op, VIRTIO_VSOCK_OP_RW);
	assert_int_equal(received(1).len, 5);
	guest_sends(VIRTIO_VSOCK_OP_RW, hdr.src_port, 1234, "reply", 5);
	assert_int_equal(recv(fd, buf, sizeof(buf), 0), 5);
	assert_memory_equal(buf, "reply", 5);
	close(fd);
}

/* A writer that is done and gone, while the guest gives no credit: its bytes wait, they are not lost. */
static void test_bytes_of_a_closed_socket_wait_for_credit(void **state)
{
	static char data[150];
	struct virtio_vsock_hdr request;
	int fd = dial("CONNECT 1234\n");

	(void)state;
	request = received(0);
	guest_buffer = 100;
	guest_sends(VIRTIO_VSOCK_OP_RESPONSE, request.src_port, 1234, NULL, 0);
	assert_int_equal(io_write_all(fd, data, sizeof(data)), 0);
	close(fd);
	for (int i = 0; i < 5; i++)
		assert_true(loop_step(driver.loop, 10) >= 0);
	assert_int_equal(received(1).len, 100);
	assert_int_equal(received_count(), 2);
	guest_buffer = 65536;
	guest_sends(VIRTIO_VSOCK_OP_CREDIT_UPDATE, request.src_port, 1234, NULL, 0);
	for (int i = 0; i < 5; i++)
		assert_true(loop_step(driver.loop, 10) >= 0);
	assert_int_equal(received(2).op, VIRTIO_VSOCK_OP_RW);
	assert_int_equal(received(2).len, 50);
	assert_int_equal(received(3).op, VIRTIO_VSOCK_OP_SHUTDOWN);
}

/* A connection that somebody else has accepted, to port 1234, with this line before it; the other end. */
static int lead_in(const char *line)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
	vsock_connect_guest(driver.device, ends[1], 1234, line);
	return ends[0];
}

static void steps(void)
{
	for (int i = 0; i < 5; i++)
		assert_true(loop_step(driver.loop, 10) >= 0);
}

static const char *data_of(unsigned int n)
{
	return (const char *)memory_at(driver.mem, RX_BUFFERS + driver_used_head(&driver, RX, n) * 0x2000ULL, 0x2000) +
	       sizeof(struct virtio_vsock_hdr);
}

/* Whoever has connected may have said all and be gone before the guest takes it. */
static void test_a_connection_that_is_led_to_the_guest_begins_with_its_line(void **state)
{
	struct virtio_vsock_hdr request;
	int fd = lead_in("whose\n");

	(void)state;
	assert_int_equal(io_write_all(fd, "bytes", 5), 0);
	close(fd);
	steps();
	assert_int_equal(received_count(), 1);
	request = received(0);
	assert_int_equal(request.op, VIRTIO_VSOCK_OP_REQUEST);
	assert_int_equal(request.dst_port, 1234);
	guest_sends(VIRTIO_VSOCK_OP_RESPONSE, request.src_port, 1234, NULL, 0);
	steps();
	assert_int_equal(received(1).len, 6);
	assert_memory_equal(data_of(1), "whose\n", 6);
	assert_int_equal(received(2).op, VIRTIO_VSOCK_OP_RW);
	assert_memory_equal(data_of(2), "bytes", 5);
	assert_int_equal(received(3).op, VIRTIO_VSOCK_OP_SHUTDOWN);
}

static void test_who_is_led_to_a_guest_hears_what_it_says(void **state)
{
	char buf[16];
	struct virtio_vsock_hdr request;
	int fd = lead_in("whose\n");

	(void)state;
	request = received(0);
	guest_sends(VIRTIO_VSOCK_OP_RESPONSE, request.src_port, 1234, NULL, 0);
	guest_sends(VIRTIO_VSOCK_OP_RW, request.src_port, 1234, "reply", 5);
	/* No word of the handshake. */
	assert_int_equal(recv(fd, buf, sizeof(buf), 0), 5);
	assert_memory_equal(buf, "reply", 5);
	guest_sends(VIRTIO_VSOCK_OP_RST, request.src_port, 1234, NULL, 0);
	assert_int_equal(recv(fd, buf, sizeof(buf), 0), 0);
	close(fd);
}

static void test_a_guest_that_does_not_take_whom_is_led_to_it(void **state)
{
	char byte;
	int refused = lead_in("whose\n"), starved = lead_in("whose\n");

	(void)state;
	guest_sends(VIRTIO_VSOCK_OP_RST, received(0).src_port, 1234, NULL, 0);
	assert_int_equal(recv(refused, &byte, 1, 0), 0);
	/* Less credit than the line needs. */
	guest_buffer = 5;
	guest_sends(VIRTIO_VSOCK_OP_RESPONSE, received(1).src_port, 1234, NULL, 0);
	guest_buffer = 65536;
	assert_int_equal(received(2).op, VIRTIO_VSOCK_OP_RST);
	assert_int_equal(recv(starved, &byte, 1, 0), 0);
	close(refused);
	close(starved);
}

static void test_whom_is_led_to_a_guest_does_not_take_all_that_there_is(void **state)
{
	static int fds[VSOCK_LED_MAX];
	char byte;
	int more, other;

	(void)state;
	for (unsigned int i = 0; i < VSOCK_LED_MAX; i++)
		fds[i] = lead_in("whose\n");
	more = lead_in("whose\n");
	assert_int_equal(recv(more, &byte, 1, 0), 0);
	other = dial("CONNECT 1234\n");
	assert_true(recv(other, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
	for (unsigned int i = 0; i < VSOCK_LED_MAX; i++)
		close(fds[i]);
	close(more);
	close(other);
}

static void test_bad_handshakes_are_dropped(void **state)
{
	static const char *const bad[] = { "HELLO\n", "CONNECT\n", "CONNECT x\n", "CONNECT -1\n", "CONNECT 4294967295\n",
					   "CONNECT 99999999999999999999\n", "CONNECT 1 2\n",
					   "CONNECT 00000000000000000000000000000001\n" };
	char byte;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int fd = dial(bad[i]);

		assert_true(recv(fd, &byte, 1, MSG_DONTWAIT) <= 0 && errno != EAGAIN);
		close(fd);
	}
	assert_int_equal(received_count(), 0);
}

static void test_a_port_that_nobody_has_is_reset(void **state)
{
	(void)state;
	guest_sends(VIRTIO_VSOCK_OP_REQUEST, 9999, 5, NULL, 0);
	assert_int_equal(received(0).op, VIRTIO_VSOCK_OP_RST);
	guest_sends(VIRTIO_VSOCK_OP_RW, 9999, 6, "x", 1);
	assert_int_equal(received(1).op, VIRTIO_VSOCK_OP_RST);
	/* A reset is not answered by a reset. */
	guest_sends(VIRTIO_VSOCK_OP_RST, 9999, 7, NULL, 0);
	assert_int_equal(received_count(), 2);
}

/* The guest's port 5 connects to port 77 of the host, where we are. */
static int accept_guest(void)
{
	char service[128];
	struct err err;
	int fd, peer;

	snprintf(service, sizeof(service), "%s_77", path);
	fd = fdpass_listen(service, 1, &err);
	guest_sends(VIRTIO_VSOCK_OP_REQUEST, 77, 5, NULL, 0);
	assert_int_equal(received(0).op, VIRTIO_VSOCK_OP_RESPONSE);
	peer = accept(fd, NULL, NULL);
	close(fd);
	return peer;
}

static void test_a_guest_that_exceeds_its_credit_is_reset(void **state)
{
	static char data[60000];
	int peer = accept_guest();

	(void)state;
	/* The other side reads nothing: after the socket's buffer and the credit nothing more is taken. */
	for (int i = 0; i < 60 && received(received_count() - 1).op != VIRTIO_VSOCK_OP_RST; i++)
		guest_sends(VIRTIO_VSOCK_OP_RW, 77, 5, data, sizeof(data));
	assert_int_equal(received(received_count() - 1).op, VIRTIO_VSOCK_OP_RST);
	close(peer);
}

/* A guest that uses only as much of our credit as it gives itself is told of more before it has to wait. */
static void test_a_guest_with_a_small_buffer_gets_credit_in_time(void **state)
{
	static char data[1024];
	int peer;

	(void)state;
	guest_buffer = 4096;
	peer = accept_guest();
	guest_sends(VIRTIO_VSOCK_OP_RW, 77, 5, data, 1024);
	assert_int_equal(received_count(), 1);
	guest_sends(VIRTIO_VSOCK_OP_RW, 77, 5, data, 1024);
	assert_int_equal(received(1).op, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	assert_int_equal(received(1).fwd_cnt, 2048);
	guest_buffer = 65536;
	close(peer);
}

static void test_packets_that_lie_about_their_length_stop_the_device(void **state)
{
	struct virtio_vsock_hdr hdr = { .src_cid = CID, .dst_cid = 2, .len = 5, .type = 1, .op = VIRTIO_VSOCK_OP_RW };
	struct driver_buffer buffer = { TX_BUFFER, sizeof(hdr), 0 };

	(void)state;
	memcpy(memory_at(driver.mem, TX_BUFFER, sizeof(hdr)), &hdr, sizeof(hdr));
	driver_offer(&driver, TX, 0, &buffer, 1);
	driver_kick(&driver, TX);
	assert_true(driver.device->queues[1].broken);
}

static void count_call(void *ctx)
{
	(*(unsigned int *)ctx)++;
}

/* The request of a guest that is to be saved: the device of the restored VM connects it. */
static void test_a_request_that_is_held_is_served_by_the_next_device(void **state)
{
	struct virtio_device_state saved;
	unsigned int calls = 0;
	char port[112];
	struct err err;
	int fd;

	(void)state;
	snprintf(port, sizeof(port), "%s_77", path);
	fd = fdpass_listen(port, 8, &err);
	assert_true(fd >= 0);
	vsock_hold_requests(driver.device, count_call, &calls);
	guest_sends(VIRTIO_VSOCK_OP_REQUEST, 77, 5, NULL, 0);
	assert_true(calls > 0);
	assert_int_equal(driver_used(&driver, TX), 0);
	assert_int_equal(received_count(), 0);
	driver.device->status = 0xf;
	assert_int_equal(virtio_device_save(driver.device, &saved, &err), 0);
	vsock_free(driver.device);
	driver.device = vsock_new(driver.mem, driver.loop, CID, listener, path, &err);
	virtio_mmio_show(driver.device, driver.page);
	assert_int_equal(virtio_device_restore(driver.device, &saved, &err), 0);
	driver_kick(&driver, TX);
	assert_int_equal(driver_used(&driver, TX), 1);
	assert_int_equal(received(0).op, VIRTIO_VSOCK_OP_RESPONSE);
	close(fd);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

TESTS(T(test_the_host_reaches_a_guest_port), T(test_bytes_of_a_closed_socket_wait_for_credit),
      T(test_a_connection_that_is_led_to_the_guest_begins_with_its_line), T(test_who_is_led_to_a_guest_hears_what_it_says),
      T(test_a_guest_that_does_not_take_whom_is_led_to_it), T(test_whom_is_led_to_a_guest_does_not_take_all_that_there_is),
      T(test_bad_handshakes_are_dropped), T(test_a_port_that_nobody_has_is_reset),
      T(test_a_guest_that_exceeds_its_credit_is_reset), T(test_a_guest_with_a_small_buffer_gets_credit_in_time),
      T(test_packets_that_lie_about_their_length_stop_the_device),
      T(test_a_request_that_is_held_is_served_by_the_next_device))
