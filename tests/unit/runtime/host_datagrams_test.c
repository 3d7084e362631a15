/* SPDX-License-Identifier: Apache-2.0 */
/* The test is the guest at one end, and who receives on the host at the other. */
#include "runtime/host_datagrams.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/datagram_frame.h"
#include "tests/unit/test.h"

static struct loop *loop;
static int guest, receiver, ended;
static char received[DATAGRAM_MAX + 1];
static struct ucred sender;

static void done(void *ctx)
{
	assert_ptr_equal(ctx, &ended);
	ended++;
}

static int set_up(void **state)
{
	int stream[2], datagrams[2];
	const int on = 1;
	struct err err;

	(void)state;
	ended = 0;
	loop = loop_new(&err);
	assert_non_null(loop);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, stream), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, datagrams), 0);
	guest = stream[0];
	receiver = datagrams[0];
	assert_int_equal(setsockopt(receiver, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
	assert_non_null(host_datagrams_new(loop, stream[1], datagrams[1], done, &ended, &err));
	return 0;
}

static void run_loop(void)
{
	for (int i = 0; i < 5; i++)
		assert_true(loop_step(loop, 0) >= 0);
}

static int tear_down(void **state)
{
	(void)state;
	close(guest);
	run_loop();
	if (receiver >= 0)
		close(receiver);
	assert_int_equal(ended, 1);
	loop_free(loop);
	return 0;
}

static void say(const void *bytes, size_t len)
{
	assert_int_equal(write(guest, bytes, len), len);
}

static void say_frame(const char *bytes, uid_t uid, gid_t gid)
{
	const struct datagram_frame frame = { .len = (uint32_t)strlen(bytes), .uid = uid, .gid = gid };

	say(&frame, sizeof(frame));
	if (*bytes)
		say(bytes, frame.len);
}

/* The next one's length, or -1. */
static ssize_t receive(void)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(sender))];
	} control;
	struct iovec iov = { received, sizeof(received) - 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(receiver, &msg, 0);

	if (n < 0)
		return n;
	received[n] = '\0';
	assert_int_equal(control.header.cmsg_type, SCM_CREDENTIALS);
	memcpy(&sender, CMSG_DATA(&control.header), sizeof(sender));
	return n;
}

static void test_each_is_one_and_has_its_sender(void **state)
{
	(void)state;
	say_frame("first", getuid(), getgid());
	say_frame("", getuid(), getgid());
	say_frame("third", getuid(), getgid());
	run_loop();
	assert_int_equal(receive(), 5);
	assert_string_equal(received, "first");
	assert_int_equal(sender.pid, getpid());
	assert_int_equal(sender.uid, getuid());
	assert_int_equal(sender.gid, getgid());
	assert_int_equal(receive(), 0);
	assert_int_equal(receive(), 5);
	assert_string_equal(received, "third");
	assert_int_equal(receive(), -1);
}

static void test_a_frame_in_parts(void **state)
{
	const struct datagram_frame frame = { .len = 4, .uid = getuid(), .gid = getgid() };

	(void)state;
	for (size_t i = 0; i < sizeof(frame); i++) {
		say((const char *)&frame + i, 1);
		run_loop();
	}
	say("ab", 2);
	run_loop();
	assert_int_equal(receive(), -1);
	say("cd", 2);
	run_loop();
	assert_int_equal(receive(), 4);
	assert_string_equal(received, "abcd");
}

static void test_a_receiver_that_is_full_is_waited_for(void **state)
{
	char text[8];
	int next = 0;

	(void)state;
	for (int i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), "%d", i);
		say_frame(text, getuid(), getgid());
	}
	for (int rounds = 0; rounds < 1000 && next < 100; rounds++) {
		run_loop();
		while (receive() >= 0)
			assert_int_equal(atoi(received), next++);
	}
	assert_int_equal(next, 100);
	assert_int_equal(ended, 0);
}

static void test_one_that_is_refused_is_lost_and_the_next_is_not(void **state)
{
	(void)state;
	say_frame("nobody's", (uid_t)-1, getgid());
	say_frame("mine", getuid(), getgid());
	run_loop();
	assert_int_equal(receive(), 4);
	assert_string_equal(received, "mine");
	assert_int_equal(ended, 0);
}

static void test_more_than_there_may_be_ends_it(void **state)
{
	const struct datagram_frame frame = { .len = DATAGRAM_MAX + 1 };

	(void)state;
	say(&frame, sizeof(frame));
	run_loop();
	assert_int_equal(ended, 1);
}

static void test_it_ends_when_nobody_receives(void **state)
{
	(void)state;
	close(receiver);
	receiver = -1;
	say_frame("lost", getuid(), getgid());
	run_loop();
	assert_int_equal(ended, 1);
}

/* What came before the end still arrives. */
static void test_the_guests_end(void **state)
{
	(void)state;
	say_frame("last", getuid(), getgid());
	assert_int_equal(shutdown(guest, SHUT_WR), 0);
	run_loop();
	assert_int_equal(ended, 1);
	assert_int_equal(receive(), 4);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
TESTS(ROW(test_each_is_one_and_has_its_sender), ROW(test_a_frame_in_parts), ROW(test_a_receiver_that_is_full_is_waited_for),
      ROW(test_one_that_is_refused_is_lost_and_the_next_is_not), ROW(test_more_than_there_may_be_ends_it),
      ROW(test_it_ends_when_nobody_receives), ROW(test_the_guests_end))
