/* SPDX-License-Identifier: Apache-2.0 */
/* A guest whose processes bind sockets in a shared directory, and connect to those of this process. */
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/unit/vmm/fs_client.h"

#define REQUEST_CONNECT (1 << 16) /* guest-kernel/patches/virtiofs-sockets.patch */
#define REQUEST_LISTEN (1 << 17)
#define REQUEST_END (1 << 18)

static char directory[] = "/tmp/cella-sockets-test.XXXXXX", path[64];
static uint64_t parent;

static void start(uint32_t flags2)
{
	init_flags2 = flags2;
	parent = share_directory_at(directory);
}

static int set_up(void **state)
{
	(void)state;
	make_directory(directory, path);
	assert_int_equal(chdir("/proc/self/fd"), 0);
	start(OWN_KERNEL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return remove_shared_file(directory, path);
}

static int make_node(const char *name, uint32_t mode)
{
	struct {
		struct fuse_mknod_in in;
		char name[256];
	} body = { .in = { .mode = mode, .umask = 022 } };

	strcpy(body.name, name);
	return ask(FUSE_MKNOD, parent, &body, sizeof(body.in) + strlen(name) + 1);
}

static int tell(uint64_t node, uint32_t what)
{
	struct fuse_access_in in = { .mask = what };

	return ask(FUSE_ACCESS, node, &in, sizeof(in));
}

static struct sockaddr_un address(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	strcpy(addr.sun_path, path);
	return addr;
}

/* A connection of this process's to the file, or -errno. */
static int visit(int type)
{
	struct sockaddr_un addr = address();
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), ret = connect(fd, (struct sockaddr *)&addr, sizeof(addr));

	if (ret == 0)
		return fd;
	ret = -errno;
	close(fd);
	return ret;
}

/* A socket of this process's, bound to the file. */
static int serve(int type, bool listens)
{
	struct sockaddr_un addr = address();
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listens ? listen(fd, 1) : 0, 0);
	assert_int_equal(look_up(parent, "file"), 0);
	return fd;
}

static void test_one_of_the_guests_is_bound_when_it_listens_and_gone_when_it_ends(void **state)
{
	uint64_t node, id = 0;
	struct stat st;
	int visitor, fd;

	(void)state;
	assert_int_equal(make_node("file", S_IFSOCK | 0775), 0);
	node = reply.entry.nodeid;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode, S_IFSOCK | 0755);
	assert_int_equal(visit(SOCK_STREAM), -ECONNREFUSED);
	assert_int_equal(tell(node, REQUEST_LISTEN), 0);
	assert_int_equal(tell(node, REQUEST_LISTEN), 0);
	visitor = visit(SOCK_STREAM);
	assert_true(visitor >= 0);
	fd = fs_server_accept(server, &id);
	assert_true(fd >= 0);
	assert_int_equal(id, node);
	assert_int_equal(send(visitor, "x", 1, 0), 1);
	assert_int_equal(recv(fd, &(char){ 0 }, 1, 0), 1);
	assert_int_equal(fs_server_accept(server, &id), -EAGAIN);
	/* The guest has looked for itself whether anybody in it listens. */
	assert_int_equal(tell(node, REQUEST_CONNECT), -ECONNREFUSED);
	assert_int_equal(tell(node, REQUEST_END), 0);
	assert_int_equal(visit(SOCK_STREAM), -ECONNREFUSED);
	assert_int_equal(tell(node, REQUEST_LISTEN), -ENOTSOCK);
	close(fd);
	close(visitor);
}

static void test_a_name_is_taken_once(void **state)
{
	(void)state;
	assert_int_equal(make_node("file", S_IFSOCK | 0600), 0);
	assert_int_equal(make_node("file", S_IFSOCK | 0600), -EEXIST);
}

static void test_a_name_that_is_too_long_for_an_address_is_a_file_all_the_same(void **state)
{
	char name[201] = "", long_path[300];
	struct stat st;

	(void)state;
	memset(name, 'x', 200);
	snprintf(long_path, sizeof(long_path), "%s/%s", directory, name);
	assert_int_equal(make_node(name, S_IFSOCK | 0600), 0);
	assert_int_equal(stat(long_path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(tell(reply.entry.nodeid, REQUEST_LISTEN), -ENOTSOCK);
	unlink(long_path);
}

static void test_whoever_forgets_it_listens_no_more(void **state)
{
	struct fuse_forget_in forget = { .nlookup = 1 };
	static _Alignas(8) char data[sizeof(struct fuse_in_header) + sizeof(forget)];
	struct fuse_in_header header = { .len = sizeof(data), .opcode = FUSE_FORGET, .unique = 1 };
	struct fs_request request = { .data = data, .len = sizeof(data) };

	(void)state;
	assert_int_equal(make_node("file", S_IFSOCK | 0600), 0);
	header.nodeid = reply.entry.nodeid;
	assert_int_equal(tell(header.nodeid, REQUEST_LISTEN), 0);
	memcpy(data, &header, sizeof(header));
	memcpy(data + sizeof(header), &forget, sizeof(forget));
	fs_server_handle(server, &request);
	assert_int_equal(visit(SOCK_STREAM), -ECONNREFUSED);
}

static void test_a_kernel_that_does_not_tell_has_files_only(void **state)
{
	(void)state;
	fs_server_free(server);
	start(1); /* FUSE_SECURITY_CTX */
	assert_int_equal(make_node("file", S_IFSOCK | 0600), 0);
	assert_int_equal(tell(reply.entry.nodeid, REQUEST_LISTEN), -ENOTSOCK);
}

static void test_the_guest_hears_who_listens_outside(void **state)
{
	static const struct {
		int type, error;
		bool listens;
	} servers[] = {
		{ SOCK_STREAM, 0, true },
		{ SOCK_DGRAM, -EPROTOTYPE, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(servers); i++) {
		int fd = serve(servers[i].type, servers[i].listens);
		uint64_t node = reply.entry.nodeid;

		assert_int_equal(tell(node, REQUEST_CONNECT), servers[i].error);
		/* And nobody noticed. */
		if (servers[i].listens)
			assert_true(accept(fd, NULL, NULL) < 0 && errno == EAGAIN);
		close(fd);
		assert_int_equal(tell(node, REQUEST_CONNECT), -ECONNREFUSED);
		unlink(path);
	}
}

static void test_a_socket_is_handed_out_and_nothing_else(void **state)
{
	int listener = serve(SOCK_STREAM, true), fd = fs_server_open_socket(server, reply.entry.nodeid);
	struct stat st;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	close(fd);
	close(listener);
	unlink(path);
	assert_int_equal(fs_server_open_socket(server, parent), -ENOENT);
	assert_int_equal(fs_server_open_socket(server, FUSE_ROOT_ID), -ENOENT);
	assert_int_equal(fs_server_open_socket(server, UINT64_MAX), -ENOENT);
	assert_int_equal(make_node("file", S_IFREG | 0600), 0);
	assert_int_equal(fs_server_open_socket(server, reply.entry.nodeid), -ENOENT);
	assert_int_equal(tell(reply.entry.nodeid, REQUEST_CONNECT), -ENOSYS);
}

TESTS(cmocka_unit_test_setup_teardown(test_one_of_the_guests_is_bound_when_it_listens_and_gone_when_it_ends, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_a_name_is_taken_once, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_a_name_that_is_too_long_for_an_address_is_a_file_all_the_same, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_whoever_forgets_it_listens_no_more, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_a_kernel_that_does_not_tell_has_files_only, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_the_guest_hears_who_listens_outside, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_a_socket_is_handed_out_and_nothing_else, set_up, tear_down))
