/* SPDX-License-Identifier: Apache-2.0 */
/* The test plays the kernel at one end and the agent at the other. */
#include "runtime/standin_proc.h"

#include <linux/fuse.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "tests/unit/test.h"

struct fixture {
	struct loop *loop;
	struct ttrpc *standin, *agent;
	struct standin_proc proc;
	int kernel;
	bool answers;	   /* the agent does */
	uint32_t asked;	   /* how often, */
	uint32_t stream;   /* and the last call, if it does not answer at once */
	const Cella__Agent__DescribeProcessesResponse *table; /* its answer; NULL: an error */
	/* The last answer to the kernel. */
	struct fuse_out_header header;
	char data[8192];
};

static uint32_t ids[] = { 0, 1000, 0, 0 };
static uint64_t capabilities[] = { 0, 0, 0x20, 0, 0 };

static Cella__Agent__Process make_process(int pid, int parent, const char *name)
{
	Cella__Agent__Process process = CELLA__AGENT__PROCESS__INIT;

	process.pid = pid;
	process.parent = parent;
	process.uids = ids;
	process.gids = ids;
	process.n_uids = process.n_gids = ARRAY_SIZE(ids);
	process.capabilities = capabilities;
	process.n_capabilities = ARRAY_SIZE(capabilities);
	process.state = 'S';
	process.name.data = (uint8_t *)name;
	process.name.len = strlen(name);
	process.command_line.data = (uint8_t *)"a\0b";
	process.command_line.len = 4;
	return process;
}

static void answer(struct fixture *f, uint32_t stream)
{
	if (f->table)
		ttrpc_reply(f->agent, stream, &f->table->base);
	else
		ttrpc_reply_error(f->agent, stream, TTRPC_INTERNAL, "no");
}

static void agent_asked(void *ctx, struct ttrpc *conn, uint32_t stream, const char *service, const char *method,
			const uint8_t *payload, size_t len)
{
	struct fixture *f = ctx;
	Cella__Agent__ProcessRef *request = cella__agent__process_ref__unpack(NULL, len, payload);

	(void)conn;
	(void)service;
	assert_string_equal(method, "DescribeProcesses");
	assert_string_equal(request->id, "box");
	cella__agent__process_ref__free_unpacked(request, NULL);
	f->asked++;
	f->stream = stream;
	if (f->answers)
		answer(f, stream);
}

static void closed(void *ctx, struct ttrpc *conn)
{
	(void)ctx;
	(void)conn;
}

static const struct ttrpc_ops standin_ops = { .closed = closed };
static const struct ttrpc_ops agent_ops = { .request = agent_asked, .closed = closed };

static void open_fixture(struct fixture *f, const Cella__Agent__DescribeProcessesResponse *table)
{
	struct err err;
	int pair[2];

	memset(f, 0, sizeof(*f));
	f->table = table;
	f->answers = true;
	f->loop = loop_new(&err);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	f->standin = ttrpc_new(f->loop, pair[0], &standin_ops, f, &err);
	f->agent = ttrpc_new(f->loop, pair[1], &agent_ops, f, &err);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	f->proc.fuse = pair[0];
	f->kernel = pair[1];
	strcpy(f->proc.namespace, "pid:[1]");
	assert_int_equal(standin_proc_start(&f->proc, "box", f->loop, f->standin, &err), 0);
}

static void close_fixture(struct fixture *f)
{
	if (f->proc.table)
		cella__agent__describe_processes_response__free_unpacked(f->proc.table, NULL);
	loop_remove(f->loop, f->proc.fuse);
	close(f->proc.fuse);
	close(f->kernel);
	ttrpc_free(f->standin);
	ttrpc_free(f->agent);
	loop_free(f->loop);
}

static void send_request(struct fixture *f, uint32_t opcode, uint64_t node, uint64_t unique, const void *body, size_t len)
{
	char buffer[8192] = { 0 };
	struct fuse_in_header in = { .len = (uint32_t)(sizeof(in) + len), .opcode = opcode, .unique = unique, .nodeid = node };

	memcpy(buffer, &in, sizeof(in));
	if (len)
		memcpy(buffer + sizeof(in), body, len);
	assert_int_equal(write(f->kernel, buffer, in.len), in.len);
	for (int i = 0; i < 4; i++)
		assert_true(loop_step(f->loop, 10) >= 0);
}

/* The error of the answer that came, or 1 for none. */
static int receive(struct fixture *f)
{
	char buffer[8192 + sizeof(f->header)];
	ssize_t n = read(f->kernel, buffer, sizeof(buffer));

	if (n < 0)
		return 1;
	memset(f->data, 0, sizeof(f->data));
	memcpy(&f->header, buffer, sizeof(f->header));
	memcpy(f->data, buffer + sizeof(f->header), (size_t)n - sizeof(f->header));
	assert_int_equal(f->header.len, n);
	return f->header.error;
}

static int call(struct fixture *f, uint32_t opcode, uint64_t node, const void *body, size_t len)
{
	send_request(f, opcode, node, 77, body, len);
	return receive(f);
}

static int look_up(struct fixture *f, uint64_t parent, const char *name, uint64_t *ret_node)
{
	int ret = call(f, FUSE_LOOKUP, parent, name, strlen(name) + 1);

	*ret_node = ret ? 0 : ((struct fuse_entry_out *)f->data)->nodeid;
	return ret;
}

static int open_directory(struct fixture *f)
{
	return call(f, FUSE_OPENDIR, FUSE_ROOT_ID, &(struct fuse_open_in){ 0 }, sizeof(struct fuse_open_in));
}

static int read_file(struct fixture *f, uint64_t node, uint64_t offset, uint32_t size)
{
	struct fuse_read_in request = { .offset = offset, .size = size };

	return call(f, FUSE_READ, node, &request, sizeof(request));
}

#define TWO_PROCESSES(table)                                                                        \
	Cella__Agent__Process first = make_process(1, 0, "in(it)\n"), second = make_process(12, 1, "x"); \
	Cella__Agent__Process *list[] = { &first, &second };                                        \
	Cella__Agent__DescribeProcessesResponse table = CELLA__AGENT__DESCRIBE_PROCESSES_RESPONSE__INIT; \
	table.processes = list;                                                                     \
	table.n_processes = ARRAY_SIZE(list)

static void test_processes_are_listed_and_read(void **state)
{
	TWO_PROCESSES(table);
	struct fuse_read_in request = { .size = 4096 };
	struct fixture f;
	uint64_t one, node;

	(void)state;
	open_fixture(&f, &table);
	assert_int_equal(call(&f, FUSE_INIT, 0, &(struct fuse_init_in){ .major = 7, .minor = 36 }, sizeof(struct fuse_init_in)), 0);
	assert_int_equal(look_up(&f, FUSE_ROOT_ID, "1", &one), -ENOENT); /* nobody has asked the agent yet */
	assert_int_equal(open_directory(&f), 0);
	assert_int_equal(f.asked, 1);
	assert_int_equal(call(&f, FUSE_READDIR, FUSE_ROOT_ID, &request, sizeof(request)), 0);
	assert_int_equal(f.header.len, sizeof(f.header) + 3 * FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + 4));
	assert_memory_equal(((struct fuse_dirent *)f.data)->name, "stat", 4);
	/* On from behind the first process. */
	request.offset = ((struct fuse_dirent *)(f.data + 32))->off;
	assert_int_equal(call(&f, FUSE_READDIR, FUSE_ROOT_ID, &request, sizeof(request)), 0);
	assert_memory_equal(((struct fuse_dirent *)f.data)->name, "12", 2);
	assert_int_equal(f.header.len, sizeof(f.header) + 32);

	assert_int_equal(look_up(&f, FUSE_ROOT_ID, "1", &one), 0);
	assert_int_equal(look_up(&f, one, "stat", &node), 0);
	assert_int_equal(read_file(&f, node, 0, 4096), 0);
	assert_memory_equal(f.data, "1 (in(it)?) S 0 ", 16);
	assert_int_equal(look_up(&f, one, "status", &node), 0);
	assert_int_equal(read_file(&f, node, 0, 4096), 0);
	assert_non_null(strstr(f.data, "\nUid:\t0\t1000\t0\t0\n"));
	assert_non_null(strstr(f.data, "\nCapEff:\t0000000000000020\n"));
	assert_int_equal(look_up(&f, one, "cmdline", &node), 0);
	assert_int_equal(read_file(&f, node, 2, 4096), 0);
	assert_int_equal(f.header.len, sizeof(f.header) + 2);
	assert_string_equal(f.data, "b");
	assert_int_equal(read_file(&f, node, 4, 4096), 0);
	assert_int_equal(f.header.len, sizeof(f.header));
	assert_int_equal(read_file(&f, node, UINT64_MAX, 1), 0);
	assert_int_equal(f.header.len, sizeof(f.header));
	assert_int_equal(look_up(&f, one, "ns", &node), 0);
	assert_int_equal(look_up(&f, node, "pid", &node), 0);
	assert_int_equal(call(&f, FUSE_READLINK, node, NULL, 0), 0);
	assert_string_equal(f.data, "pid:[1]");
	assert_int_equal(look_up(&f, FUSE_ROOT_ID, "stat", &node), 0);
	assert_int_equal(read_file(&f, node, 0, 4096), 0);
	assert_memory_equal(f.data, "btime ", 6);
	close_fixture(&f);
}

static void test_what_is_not_there(void **state)
{
	static const char *const names[] = { "2", "0", "-1", "01", "1x", "4294967297", "99999999999999999999", "self", "ns", "status", "" };
	TWO_PROCESSES(table);
	struct fixture f;
	uint64_t node;

	(void)state;
	open_fixture(&f, &table);
	assert_int_equal(open_directory(&f), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_int_equal(look_up(&f, FUSE_ROOT_ID, names[i], &node), -ENOENT);
	assert_int_equal(call(&f, FUSE_MKDIR, FUSE_ROOT_ID, "\0\0\0\0\0\0\0\0x", 10), -ENOSYS);
	assert_int_equal(call(&f, 4000000000, FUSE_ROOT_ID, NULL, 0), -ENOSYS);
	/* A process that has ended since somebody found it. */
	assert_int_equal(look_up(&f, FUSE_ROOT_ID, "12", &node), 0);
	assert_int_equal(look_up(&f, node, "stat", &node), 0);
	table.n_processes = 1;
	assert_int_equal(open_directory(&f), 0);
	assert_int_equal(read_file(&f, node, 0, 4096), -ESRCH);
	assert_int_equal(call(&f, FUSE_GETATTR, node, &(struct fuse_getattr_in){ 0 }, sizeof(struct fuse_getattr_in)), -ENOENT);
	close_fixture(&f);
}

static void test_a_guest_that_never_answers_holds_nobody(void **state)
{
	TWO_PROCESSES(table);
	struct fuse_interrupt_in interrupt = { .unique = 501 };
	struct fixture f;

	(void)state;
	open_fixture(&f, &table);
	f.answers = false;
	for (uint64_t i = 0; i <= STANDIN_PROC_WAITING_MAX; i++)
		send_request(&f, FUSE_OPENDIR, FUSE_ROOT_ID, 500 + i, &(struct fuse_open_in){ 0 }, sizeof(struct fuse_open_in));
	assert_int_equal(f.asked, 1);
	assert_int_equal(receive(&f), -EAGAIN); /* one too many */
	assert_int_equal(f.header.unique, 500 + STANDIN_PROC_WAITING_MAX);
	send_request(&f, FUSE_INTERRUPT, 0, 900, &interrupt, sizeof(interrupt));
	assert_int_equal(receive(&f), -EINTR);
	assert_int_equal(f.header.unique, 501);
	assert_int_equal(receive(&f), 1);
	/* The others, when the answer comes after all. */
	answer(&f, f.stream);
	for (int i = 0; i < 4; i++)
		assert_true(loop_step(f.loop, 10) >= 0);
	for (int i = 1; i < STANDIN_PROC_WAITING_MAX; i++)
		assert_int_equal(receive(&f), 0);
	assert_int_equal(receive(&f), 1);
	close_fixture(&f);
}

/* None of these becomes a table, and the one before stays. */
static void test_a_hostile_guest(void **state)
{
	TWO_PROCESSES(table);
	struct fixture f;
	uint64_t node;

	(void)state;
	open_fixture(&f, &table);
	assert_int_equal(open_directory(&f), 0);
	for (int i = 0; i < 8; i++) {
		Cella__Agent__Process good = second;

		second.pid = i == 0 ? 1 : i == 1 ? 0 : i == 2 ? -5 : 12;
		second.n_uids = i == 3 ? 3 : 4;
		second.n_gids = i == 4 ? 0 : 4;
		second.n_capabilities = i == 5 ? 4 : 5;
		first.pid = i == 6 ? 13 : 1;
		f.table = i == 7 ? NULL : &table;
		assert_int_equal(open_directory(&f), -EIO);
		second = good;
		first.pid = 1;
		assert_int_equal(look_up(&f, FUSE_ROOT_ID, "12", &node), 0);
	}
	/* Numbers out of any range still make the file's form. */
	f.table = &table;
	second.state = '\n';
	second.nice = INT32_MIN;
	second.age = second.user_time = second.virtual_bytes = second.resident_pages = UINT64_MAX;
	second.name.len = 0;
	assert_int_equal(open_directory(&f), 0);
	assert_int_equal(look_up(&f, FUSE_ROOT_ID, "12", &node), 0);
	assert_int_equal(look_up(&f, node, "stat", &node), 0);
	assert_int_equal(read_file(&f, node, 0, 4096), 0);
	assert_memory_equal(f.data, "12 () ? 1 ", 10);
	assert_ptr_equal(strchr(f.data, '\n'), f.data + f.header.len - sizeof(f.header) - 1);
	close_fixture(&f);
}

TESTS(cmocka_unit_test(test_processes_are_listed_and_read), cmocka_unit_test(test_what_is_not_there),
      cmocka_unit_test(test_a_guest_that_never_answers_holds_nobody), cmocka_unit_test(test_a_hostile_guest))
