/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/copier.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "lib/io.h"
#include "tests/unit/test.h"

static void done(void *ctx)
{
	*(int *)ctx = 1;
}

static int temporary_file(void)
{
	char path[] = "/tmp/cella-copier-test.XXXXXX";
	int fd = mkstemp(path);

	unlink(path);
	return fd;
}

static void run_until(struct loop *loop, int *flag)
{
	for (int i = 0; i < 100000 && !*flag; i++)
		assert_true(loop_step(loop, 1000) >= 0);
	assert_int_equal(*flag, 1);
}

enum { TOTAL = 4 << 20 };

static char byte_at(size_t at)
{
	return (char)(at * 7 + (at >> 13));
}

static int write_pieces(int fd, const size_t *sizes, size_t n)
{
	static char piece[256 << 10];

	for (size_t i = 0, at = 0; at < TOTAL; i++) {
		size_t size = sizes[i % n] < TOTAL - at ? sizes[i % n] : TOTAL - at;

		for (size_t k = 0; k < size; k++)
			piece[k] = byte_at(at + k);
		if (io_write_all(fd, piece, size) < 0)
			return 1;
		at += size;
	}
	return 0;
}

/* Reads slowly, 1000 bytes at a time, up to the end. */
static int read_all(int fd)
{
	char buf[1000];
	size_t at = 0;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		for (ssize_t i = 0; i < n; i++, at++)
			if (buf[i] != byte_at(at))
				return 2;
	return at == TOTAL ? 0 : 3;
}

static void assert_exits_with_0(pid_t pid)
{
	int status;

	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

/* One child writes to in[1], pieces of these sizes in turn, another reads from out[0]; between them is a copier. */
static void copy_to_a_slow_reader(int in[2], int out[2], const size_t *sizes, size_t n)
{
	struct err err;
	struct loop *loop = loop_new(&err);
	int finished = 0;
	pid_t writer, reader;

	writer = fork();
	if (writer == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(write_pieces(in[1], sizes, n));
	}
	close(in[1]);
	reader = fork();
	if (reader == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(out[1]);
		_exit(read_all(out[0]));
	}
	close(out[0]);
	assert_int_equal(io_set_nonblocking(in[0]), 0);
	assert_int_equal(io_set_nonblocking(out[1]), 0);
	assert_non_null(copier_new(loop, in[0], out[1], done, &finished, &err));
	run_until(loop, &finished);
	assert_exits_with_0(writer);
	assert_exits_with_0(reader);
	loop_free(loop);
}

static void test_a_slow_reader_gets_every_byte(void **state)
{
	static const size_t sizes[] = { 512 };
	int in[2], out[2];

	(void)state;
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	copy_to_a_slow_reader(in, out, sizes, ARRAY_SIZE(sizes));
}

static void test_large_and_small_pieces_of_a_socket_stay_in_order(void **state)
{
	static const size_t sizes[] = { 200000, 200000, 1, 70000, 65536, 3, 5, 40000, 4096 };
	int in[2], out[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, in), 0);
	assert_int_equal(pipe(out), 0);
	copy_to_a_slow_reader(in, out, sizes, ARRAY_SIZE(sizes));
}

/* The pipe is full and nobody reads: the copier waits for it, and what the socket holds is not lost. */
static void test_a_full_pipe_holds_a_socket_up(void **state)
{
	enum { SIZE = 160000 };
	static char sent[SIZE], got[SIZE];
	struct err err;
	struct loop *loop = loop_new(&err);
	int in[2], out[2], finished = 0;
	size_t at = 0;
	ssize_t n;

	(void)state;
	for (size_t i = 0; i < SIZE; i++)
		sent[i] = byte_at(i);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, in), 0);
	assert_int_equal(pipe2(out, O_NONBLOCK), 0);
	assert_int_equal(write(in[1], sent, SIZE), SIZE);
	shutdown(in[1], SHUT_WR);
	assert_non_null(copier_new(loop, in[0], out[1], done, &finished, &err));
	assert_true(loop_step(loop, 1000) >= 0);
	assert_int_equal(finished, 0);
	while (at < SIZE) {
		n = read(out[0], got + at, SIZE - at);
		if (n < 0)
			assert_true(loop_step(loop, 1000) >= 0);
		else
			at += (size_t)n;
	}
	assert_memory_equal(sent, got, SIZE);
	if (!finished)
		run_until(loop, &finished);
	assert_int_equal(read(out[0], got, SIZE), 0);
	close(out[0]);
	close(in[1]);
	loop_free(loop);
}

static void test_files_on_both_sides_are_copied(void **state)
{
	struct err err;
	struct loop *loop = loop_new(&err);
	int from = temporary_file(), to = temporary_file(), kept = dup(to), finished = 0;
	char buf[200000], back[200001];

	(void)state;
	memset(buf, 'z', sizeof(buf));
	assert_int_equal(write(from, buf, sizeof(buf)), sizeof(buf));
	lseek(from, 0, SEEK_SET);
	assert_non_null(copier_new(loop, from, to, done, &finished, &err));
	run_until(loop, &finished);
	assert_int_equal(pread(kept, back, sizeof(back), 0), sizeof(buf));
	close(kept);
	loop_free(loop);
}

static void test_finish_copies_what_is_there_and_ends(void **state)
{
	struct err err;
	struct loop *loop = loop_new(&err);
	int in[2], out[2], finished = 0;
	struct copier *copier;
	char buf[16];

	(void)state;
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	assert_int_equal(io_set_nonblocking(in[0]), 0);
	assert_int_equal(io_set_nonblocking(out[1]), 0);
	copier = copier_new(loop, in[0], out[1], done, &finished, &err);
	assert_int_equal(write(in[1], "last words", 10), 10);
	copier_finish(copier); /* the writer's end is still open */
	assert_int_equal(finished, 1);
	assert_int_equal(read(out[0], buf, sizeof(buf)), 10);
	close(in[1]);
	close(out[0]);
	loop_free(loop);
}

TESTS(cmocka_unit_test(test_a_slow_reader_gets_every_byte),
      cmocka_unit_test(test_large_and_small_pieces_of_a_socket_stay_in_order),
      cmocka_unit_test(test_a_full_pipe_holds_a_socket_up), cmocka_unit_test(test_files_on_both_sides_are_copied),
      cmocka_unit_test(test_finish_copies_what_is_there_and_ends))
