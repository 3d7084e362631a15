/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/io.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lib/fdpass.h"
#include "tests/unit/test.h"

static char directory[64];
static int dir;

static int set_up(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/cella-io-test.XXXXXX");
	assert_non_null(mkdtemp(directory));
	dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	struct err err;

	(void)state;
	close(dir);
	return io_remove_tree(AT_FDCWD, directory, &err);
}

static void test_a_replaced_file_has_the_new_bytes_and_mode(void **state)
{
	struct stat st;
	struct err err;
	char *text;
	size_t len;

	(void)state;
	assert_int_equal(io_replace_file(dir, "f", "first", 5, 0644, &err), 0);
	assert_int_equal(io_replace_file(dir, "f", "second", 6, 0600, &err), 0);
	text = io_read_file(dir, "f", 100, &len, &err);
	assert_int_equal(len, 6);
	assert_memory_equal(text, "second", 6);
	free(text);
	assert_int_equal(fstatat(dir, "f", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void test_a_file_that_is_too_long_is_refused(void **state)
{
	struct err err;
	size_t len;

	(void)state;
	assert_int_equal(io_replace_file(dir, "f", "0123456789", 10, 0644, &err), 0);
	assert_null(io_read_file(dir, "f", 9, &len, &err));
	assert_null(io_read_file(dir, "missing", 9, &len, &err));
	assert_int_equal(err.code, ENOENT);
}

static void test_remove_tree_does_not_follow_links(void **state)
{
	struct err err;
	int outside;

	(void)state;
	assert_int_equal(io_mkdir_parents(dir, "a/b/c", 0755, &err), 0);
	assert_int_equal(io_mkdir_parents(dir, "outside", 0755, &err), 0);
	assert_int_equal(io_replace_file(dir, "outside/kept", "x", 1, 0644, &err), 0);
	outside = openat(dir, "a/b", O_RDONLY | O_DIRECTORY);
	assert_int_equal(symlinkat("../../outside", outside, "link"), 0);
	close(outside);
	assert_int_equal(io_remove_tree(dir, "a", &err), 0);
	assert_int_equal(faccessat(dir, "a", F_OK, 0), -1);
	assert_int_equal(faccessat(dir, "outside/kept", F_OK, 0), 0);
}

/* Two that remove the same tree, and one that adds a few files to it. */
static void test_remove_tree_is_not_alone(void **state)
{
	struct err err;
	int failed = 0, status;

	(void)state;
	for (int round = 0; round < 50; round++) {
		pid_t remover, adder;
		char path[32];

		for (int i = 0; i < 20; i++) {
			snprintf(path, sizeof(path), "t/%d/sub", i);
			assert_int_equal(io_mkdir_parents(dir, path, 0755, &err), 0);
		}
		adder = fork();
		if (adder == 0) {
			for (int i = 0; openat(dir, i % 2 ? "t/19/f" : "t/g", O_CREAT | O_WRONLY | O_CLOEXEC, 0600) >= 0 && i < 10; i++)
				;
			_exit(0);
		}
		remover = fork();
		if (remover == 0)
			_exit(io_remove_tree(dir, "t", &err) < 0);
		failed += io_remove_tree(dir, "t", &err) < 0;
		assert_int_equal(waitpid(remover, &status, 0), remover);
		failed += status != 0;
		assert_int_equal(waitpid(adder, NULL, 0), adder);
		assert_int_equal(io_remove_tree(dir, "t", &err), 0);
	}
	assert_int_equal(failed, 0);
}

static void test_descriptors_pass_through_a_socket(void **state)
{
	int pair[2], received[FDPASS_MAX], sent[2];
	char buf[8];
	size_t n;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	sent[0] = dup(dir);
	sent[1] = dup(dir);
	assert_int_equal(fdpass_send(pair[0], "hi", 2, sent, 2), 0);
	assert_int_equal(fdpass_receive(pair[1], buf, sizeof(buf), received, &n), 2);
	assert_int_equal(n, 2);
	assert_true(fcntl(received[0], F_GETFD) & FD_CLOEXEC);
	assert_int_equal(faccessat(received[1], ".", F_OK, 0), 0);
	for (int i = 0; i < 2; i++) {
		close(received[i]);
		close(sent[i]);
		close(pair[i]);
	}
}

/* An address has 107 bytes, a path may have more. */
static void test_sockets_at_long_paths(void **state)
{
	char path[300], name[150];
	struct err err;
	int listener, client;

	(void)state;
	memset(name, 'd', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(io_mkdir_parents(dir, name, 0755, &err), 0);
	snprintf(path, sizeof(path), "%s/%s/socket", directory, name);
	listener = fdpass_listen(path, 1, &err);
	assert_true(listener >= 0);
	assert_int_equal(access(path, F_OK), 0);
	client = fdpass_connect(path, &err);
	assert_true(client >= 0);
	close(client);
	close(listener);
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	assert_true(fdpass_listen(path, 1, &err) < 0); /* the name itself is too long */
}

/* What a shell wrote to the file before stays, and what comes after is appended. */
static void test_a_file_keeps_its_position(void **state)
{
	int fd = openat(dir, "output", O_RDWR | O_CREAT | O_TRUNC, 0600), own;
	char text[16] = "";

	(void)state;
	assert_int_equal(write(fd, "before ", 7), 7);
	own = io_reopen_nonblocking(fd, O_WRONLY);
	assert_true(own >= 0);
	assert_int_equal(write(own, "here ", 5), 5);
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(pread(fd, text, sizeof(text), 0), 13);
	assert_string_equal(text, "before here x");
	close(own);
	close(fd);
}

/* Into several buffers; a file that ends first is an error, not a short read. */
static void test_a_file_is_read_into_several_buffers(void **state)
{
	char one[3], two[5];
	struct iovec iov[] = { { one, 3 }, { NULL, 0 }, { two, 5 } };
	struct err err;
	auto_fd fd = -1;

	(void)state;
	assert_int_equal(io_replace_file(dir, "f", "0123456789", 10, 0600, &err), 0);
	fd = openat(dir, "f", O_RDONLY | O_CLOEXEC);
	assert_int_equal(io_preadv_all(fd, iov, 3, 1), 0);
	assert_memory_equal(one, "123", 3);
	assert_memory_equal(two, "45678", 5);
	iov[0] = (struct iovec){ two, 5 };
	assert_int_equal(io_preadv_all(fd, iov, 1, 7), -EPIPE);
	assert_memory_equal(two, "789", 3);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

TESTS(T(test_a_replaced_file_has_the_new_bytes_and_mode), T(test_a_file_that_is_too_long_is_refused),
      T(test_remove_tree_does_not_follow_links), T(test_remove_tree_is_not_alone),
      T(test_descriptors_pass_through_a_socket),
      T(test_sockets_at_long_paths), T(test_a_file_keeps_its_position),
      T(test_a_file_is_read_into_several_buffers))
