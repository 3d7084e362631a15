/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/copier.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
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

static void test_a_slow_reader_gets_every_byte(void **state)
{
	enum { TOTAL = 1 << 20 };
	struct err err;
	struct loop *loop = loop_new(&err);
	int in[2], out[2], finished = 0, status;
	pid_t writer, reader;

	(void)state;
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	writer = fork();
	if (writer == 0) {
		char piece[512];

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int i = 0; i < TOTAL; i += (int)sizeof(piece)) {
			for (size_t k = 0; k < sizeof(piece); k++)
				piece[k] = (char)((i + (int)k) * 7);
			if (write(in[1], piece, sizeof(piece)) != sizeof(piece))
				_exit(1);
		}
		_exit(0);
	}
	reader = fork();
	if (reader == 0) {
		char buf[1000];
		int at = 0, n;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(out[1]);
		close(in[1]);
		while ((n = (int)read(out[0], buf, sizeof(buf))) > 0)
			for (int i = 0; i < n; i++, at++)
				if (buf[i] != (char)(at * 7))
					_exit(2);
		_exit(at == TOTAL ? 0 : 3);
	}
	close(in[1]);
	close(out[0]);
	assert_int_equal(io_set_nonblocking(in[0]), 0);
	assert_int_equal(io_set_nonblocking(out[1]), 0);
	assert_non_null(copier_new(loop, in[0], out[1], done, &finished, &err));
	run_until(loop, &finished);
	waitpid(writer, &status, 0);
	assert_int_equal(status, 0);
	waitpid(reader, &status, 0);
	assert_int_equal(status, 0);
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

TESTS(cmocka_unit_test(test_a_slow_reader_gets_every_byte), cmocka_unit_test(test_files_on_both_sides_are_copied),
      cmocka_unit_test(test_finish_copies_what_is_there_and_ends))
