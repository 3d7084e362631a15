/* SPDX-License-Identifier: Apache-2.0 */
/* A guest whose processes have locks on a file of the host, and this process with locks of its own. */
#include <sys/file.h>

#include "tests/unit/vmm/fs_client.h"

static char directory[] = "/tmp/cella-locks-test.XXXXXX", path[64];
static uint64_t node;

/* The host's own end: a fresh open file each time. */
static int host_lock(short type, off_t start, off_t len)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len };
	int fd = open(path, O_RDWR | O_CLOEXEC), ret = fcntl(fd, F_OFD_SETLK, &lock);

	if (ret == 0)
		return fd;
	close(fd);
	return -errno;
}

static bool host_is_locked_out(void)
{
	int fd = host_lock(F_WRLCK, 0, 0);

	if (fd >= 0)
		close(fd);
	return fd == -EAGAIN;
}

static uint64_t open_handle(void)
{
	struct fuse_open_in open_in = { .flags = O_RDWR };

	assert_int_equal(ask(FUSE_OPEN, node, &open_in, sizeof(open_in)), 0);
	return reply.open.fh;
}

static int answer;

/* 0, too, if the lock is granted with the word that the file may have changed, as these have: they are new. */
static int lock_as(uint32_t opcode, uint64_t handle, uint64_t owner, uint32_t type, uint64_t start, uint64_t end, uint32_t flags)
{
	struct fuse_lk_in in = { .fh = handle, .owner = owner, .lk = { start, end, type, 1000 + (uint32_t)owner }, .lk_flags = flags };

	answer = ask(opcode, node, &in, sizeof(in));
	return answer == -EREMCHG ? 0 : answer;
}

#define LAST INT64_MAX

static int lock(uint64_t handle, uint64_t owner, uint32_t type)
{
	return lock_as(FUSE_SETLKW, handle, owner, type, 0, LAST, 0);
}

static void flush(uint64_t handle, uint64_t owner)
{
	struct fuse_flush_in in = { .fh = handle, .lock_owner = owner };

	assert_int_equal(ask(FUSE_FLUSH, node, &in, sizeof(in)), 0);
}

static void release(uint64_t handle)
{
	struct fuse_release_in in = { .fh = handle };

	assert_int_equal(ask(FUSE_RELEASE, node, &in, sizeof(in)), 0);
}

static int set_up(void **state)
{
	(void)state;
	init_flags2 = OWN_KERNEL;
	node = share_new_file(directory, path);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return remove_shared_file(directory, path);
}

static void test_they_are_offered_to_a_kernel_that_asks_again(void **state)
{
	(void)state;
	assert_int_equal(init_answer.flags & (FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS), FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS);
	tear_down(NULL);
	init_flags2 = 1; /* FUSE_SECURITY_CTX */
	node = share_new_file(directory, path);
	assert_false(init_answer.flags & (FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS));
	/* Which need not tell when it closes a file. */
	assert_int_equal(ask(FUSE_FLUSH, node, &(struct fuse_flush_in){ .fh = open_handle() }, sizeof(struct fuse_flush_in)), -ENOSYS);
}

static void test_owners_exclude_each_other_and_the_host(void **state)
{
	uint64_t handle = open_handle();
	int fd;

	(void)state;
	assert_int_equal(lock(handle, 1, F_WRLCK), 0);
	assert_true(host_is_locked_out());
	assert_int_equal(lock(handle, 2, F_RDLCK), -EAGAIN);
	assert_int_equal(lock(handle, 1, F_UNLCK), 0);
	assert_false(host_is_locked_out());
	assert_int_equal(lock(handle, 2, F_RDLCK), 0);
	assert_int_equal(lock(handle, 1, F_RDLCK), 0);
	assert_int_equal(lock(handle, 1, F_WRLCK), -EAGAIN);
	flush(handle, 1);
	flush(handle, 2);
	fd = host_lock(F_WRLCK, 10, 10);
	assert_true(fd >= 0);
	assert_int_equal(lock(handle, 1, F_RDLCK), -EAGAIN);
	assert_int_equal(lock_as(FUSE_SETLK, handle, 1, F_RDLCK, 0, 9, 0), 0);
	assert_int_equal(lock_as(FUSE_SETLK, handle, 1, F_RDLCK, 0, 10, 0), -EAGAIN);
	close(fd);
	release(handle);
	assert_false(host_is_locked_out());
}

static void test_closing_drops_the_owners_locks_alone(void **state)
{
	uint64_t first = open_handle(), second = open_handle();

	(void)state;
	assert_int_equal(lock_as(FUSE_SETLK, first, 1, F_WRLCK, 0, 9, 0), 0);
	assert_int_equal(lock_as(FUSE_SETLK, second, 2, F_WRLCK, 20, 29, 0), 0);
	/* fcntl(2): closing any descriptor of the file does it. */
	flush(second, 1);
	assert_int_equal(lock_as(FUSE_SETLK, second, 3, F_WRLCK, 0, 9, 0), 0);
	assert_int_equal(lock_as(FUSE_SETLK, first, 3, F_WRLCK, 20, 29, 0), -EAGAIN);
	/* An open file's own locks are not flushed: they go with it. */
	release(second);
	assert_false(host_is_locked_out());
	release(first);
}

static void test_who_has_a_lock_is_told(void **state)
{
	uint64_t handle = open_handle();
	const struct fuse_lk_out *out = (const void *)reply.bytes;
	int fd;

	(void)state;
	assert_int_equal(lock_as(FUSE_SETLK, handle, 1, F_WRLCK, 0, 9, 0), 0);
	assert_int_equal(lock_as(FUSE_SETLK, handle, 2, F_RDLCK, 20, LAST, 0), 0);
	assert_int_equal(lock_as(FUSE_GETLK, handle, 3, F_RDLCK, 5, 15, 0), 0);
	assert_int_equal(out->lk.type, F_WRLCK);
	assert_int_equal(out->lk.start, 0);
	assert_int_equal(out->lk.end, 9);
	assert_int_equal(out->lk.pid, 1001);
	assert_int_equal(lock_as(FUSE_GETLK, handle, 1, F_WRLCK, 0, LAST, 0), 0);
	assert_int_equal(out->lk.start, 20);
	assert_int_equal(out->lk.end, LAST);
	assert_int_equal(out->lk.pid, 1002);
	assert_int_equal(lock_as(FUSE_GETLK, handle, 2, F_WRLCK, 20, 29, 0), 0);
	assert_int_equal(out->lk.type, F_UNLCK);
	fd = host_lock(F_WRLCK, 12, 1);
	assert_int_equal(lock_as(FUSE_GETLK, handle, 3, F_RDLCK, 10, 15, 0), 0);
	assert_int_equal(out->lk.start, 12);
	assert_int_equal(out->lk.pid, 0);
	close(fd);
	release(handle);
}

static void test_flock_is_of_open_files(void **state)
{
	uint64_t first = open_handle(), second = open_handle();
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(lock_as(FUSE_SETLKW, first, 1, F_WRLCK, 0, LAST, FUSE_LK_FLOCK), 0);
	assert_int_equal(lock_as(FUSE_SETLKW, second, 1, F_RDLCK, 0, LAST, FUSE_LK_FLOCK), -EAGAIN);
	assert_int_equal(flock(fd, LOCK_SH | LOCK_NB), -1);
	assert_int_equal(lock_as(FUSE_SETLK, first, 1, F_UNLCK, 0, LAST, FUSE_LK_FLOCK), 0);
	assert_int_equal(flock(fd, LOCK_SH | LOCK_NB), 0);
	assert_int_equal(lock_as(FUSE_SETLK, second, 1, F_RDLCK, 0, LAST, FUSE_LK_FLOCK), 0);
	close(fd);
	release(second);
	release(first);
}

static void test_who_gets_a_lock_hears_of_changes(void **state)
{
	struct fuse_open_in open_in = { .flags = O_RDONLY };
	uint64_t handle = open_handle();
	char shares[SHARE_DIRECTORY_MAX];
	bool kept;

	(void)state;
	lock(handle, 1, F_WRLCK);
	assert_int_equal(answer, -EREMCHG);
	lock(handle, 1, F_UNLCK);
	assert_int_equal(answer, 0);
	lock_as(FUSE_SETLK, handle, 1, F_WRLCK, 0, LAST, FUSE_LK_FLOCK);
	assert_int_equal(answer, -EREMCHG);
	lock_as(FUSE_SETLK, handle, 1, F_UNLCK, 0, LAST, FUSE_LK_FLOCK);
	assert_int_equal(answer, 0);
	release(handle);
	/* Of an old file the guest may keep what it has, where it may when it opens it again. */
	share("old", "/etc");
	assert_int_equal(look_up(shares_beside("/etc", shares), "old"), 0);
	assert_int_equal(look_up(reply.entry.nodeid, "passwd"), 0);
	node = reply.entry.nodeid;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ask(FUSE_OPEN, node, &open_in, sizeof(open_in)), 0);
		handle = reply.open.fh;
	}
	kept = reply.open.open_flags & FOPEN_KEEP_CACHE;
	lock_as(FUSE_SETLK, handle, 1, F_RDLCK, 0, LAST, 0);
	assert_int_equal(answer, kept ? 0 : -EREMCHG);
}

/* As the host's kernel would keep any number. */
static void test_there_are_not_any_number(void **state)
{
	uint64_t handle = open_handle(), n = 0;

	(void)state;
	while (n < 1 << 20 && lock_as(FUSE_SETLK, handle, 1 + n % 2, F_WRLCK, 4 * n, 4 * n + 2, 0) == 0)
		n++;
	assert_int_equal(answer, -ENOLCK);
	assert_int_equal(n, 4096);
	/* What makes no more of them is not refused. */
	assert_int_equal(lock_as(FUSE_SETLK, handle, 1, F_UNLCK, 1, 1, 0), -ENOLCK);
	assert_int_equal(lock_as(FUSE_SETLK, handle, 1, F_UNLCK, 0, 0, 0), 0);
	assert_int_equal(lock_as(FUSE_SETLK, handle, 1, F_WRLCK, 1, 5, 0), -EAGAIN);
	assert_int_equal(lock_as(FUSE_SETLK, handle, 1, F_WRLCK, 4 * n, 4 * n, 0), -ENOLCK);
	assert_int_equal(lock_as(FUSE_SETLK, handle, 2, F_UNLCK, 0, LAST, 0), 0);
	assert_int_equal(lock_as(FUSE_SETLK, handle, 1, F_WRLCK, 4 * n, 4 * n, 0), 0);
	release(handle);
	handle = open_handle();
	assert_int_equal(lock(handle, 3, F_WRLCK), 0);
	release(handle);
}

static void test_what_makes_no_sense_is_refused(void **state)
{
	uint64_t handle = open_handle();

	(void)state;
	assert_int_equal(lock(handle + 7, 1, F_WRLCK), -EBADF);
	assert_int_equal(lock_as(FUSE_GETLK, handle + 7, 1, F_WRLCK, 0, LAST, 0), -EBADF);
	assert_int_equal(lock_as(FUSE_SETLK, handle + 7, 1, F_WRLCK, 0, LAST, FUSE_LK_FLOCK), -EBADF);
	assert_int_equal(lock(handle, 1, 77), -EINVAL);
	assert_int_equal(lock_as(FUSE_SETLK, handle, 1, 77, 0, LAST, FUSE_LK_FLOCK), -EINVAL);
	assert_int_equal(lock_as(FUSE_SETLK, handle, 1, F_WRLCK, UINT64_MAX, 3, 0), -EINVAL);
	release(handle);
	/* A guest that keeps its locks and forgets the file. */
	handle = open_handle();
	assert_int_equal(lock(handle, 1, F_WRLCK), 0);
	assert_true(host_is_locked_out());
	fs_server_reset(server);
	assert_false(host_is_locked_out());
}

TESTS(cmocka_unit_test_setup_teardown(test_they_are_offered_to_a_kernel_that_asks_again, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_owners_exclude_each_other_and_the_host, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_closing_drops_the_owners_locks_alone, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_who_has_a_lock_is_told, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_flock_is_of_open_files, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_who_gets_a_lock_hears_of_changes, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_there_are_not_any_number, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_what_makes_no_sense_is_refused, set_up, tear_down))
