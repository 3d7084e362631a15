/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/virtio/disk_ring.h"

#include <dirent.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "tests/unit/test.h"

struct disk {
	struct disk_ring_user user;
	struct disk_request request;
	int fd;
	char data[512];
	struct iovec iov;
	int nready;
};

static struct loop *loop;
static struct disk_ring *ring;
static struct disk disks[2];

static void ready(struct disk_ring_user *user)
{
	((struct disk *)user)->nready++;
}

static int set_up_disks(void **state)
{
	struct err err;

	(void)state;
	loop = loop_new(&err);
	ring = disk_ring_new(loop, &err);
	assert_non_null(ring);
	for (size_t i = 0; i < ARRAY_SIZE(disks); i++) {
		char path[] = "/tmp/cella-disk-ring-test.XXXXXX";
		struct disk *disk = &disks[i];

		*disk = (struct disk){ .user.ready = ready, .fd = mkstemp(path) };
		disk->request.user = &disk->user;
		disk->iov = (struct iovec){ disk->data, sizeof(disk->data) };
		memset(disk->data, 'a' + (int)i, sizeof(disk->data));
		assert_int_equal(write(disk->fd, disk->data, sizeof(disk->data)), sizeof(disk->data));
		memset(disk->data, 0, sizeof(disk->data));
		unlink(path);
		disk_ring_add_user(ring, &disk->user);
	}
	return 0;
}

static int tear_down_disks(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(disks); i++) {
		disk_ring_remove_user(ring, &disks[i].user);
		close(disks[i].fd);
	}
	disk_ring_free(ring);
	loop_free(loop);
	return 0;
}

static void start_read(struct disk *disk)
{
	assert_true(disk_ring_transfer(ring, &disk->request, disk->fd, &disk->iov, 1, 0, true));
	assert_int_equal(disk_ring_submit(ring), 0);
}

static void test_each_user_gets_its_own_requests(void **state)
{
	(void)state;
	start_read(&disks[0]);
	start_read(&disks[1]);
	for (int i = 0; i < 100 && (!disks[0].user.completed || !disks[1].user.completed); i++)
		assert_true(loop_step(loop, 50) >= 0);
	for (size_t i = 0; i < ARRAY_SIZE(disks); i++) {
		assert_true(disks[i].nready > 0);
		assert_ptr_equal(disk_ring_take(&disks[i].user), &disks[i].request);
		assert_null(disk_ring_take(&disks[i].user));
		assert_int_equal(disks[i].request.result, sizeof(disks[i].data));
		assert_int_equal(disks[i].data[511], 'a' + (int)i);
	}
}

/* As a reset does. What comes meanwhile of the other disk must not be lost. */
static void test_who_waits_leaves_the_others_theirs(void **state)
{
	(void)state;
	start_read(&disks[1]);
	start_read(&disks[0]);
	while (!disk_ring_take(&disks[0].user))
		assert_int_equal(disk_ring_wait(ring), 0);
	for (int i = 0; i < 100 && !disks[1].nready; i++)
		assert_true(loop_step(loop, 50) >= 0);
	assert_int_equal(disks[0].nready, 0);
	assert_ptr_equal(disk_ring_take(&disks[1].user), &disks[1].request);
}

static void test_a_flush_completes(void **state)
{
	(void)state;
	assert_true(disk_ring_flush(ring, &disks[0].request, disks[0].fd));
	assert_int_equal(disk_ring_submit(ring), 0);
	while (!disk_ring_take(&disks[0].user))
		assert_int_equal(disk_ring_wait(ring), 0);
	assert_int_equal(disks[0].request.result, 0);
}

static int find_ring(void)
{
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;
	int fd = -1;

	while (fd < 0 && (entry = readdir(directory))) {
		char target[64] = "";

		if (readlinkat(dirfd(directory), entry->d_name, target, sizeof(target) - 1) > 0 && strstr(target, "[io_uring]"))
			fd = atoi(entry->d_name);
	}
	closedir(directory);
	return fd;
}

/* Requests of a ring pass no seccomp filter. One that is restricted takes nothing that is not listed, here: to list what it could do. */
static void test_the_ring_is_restricted(void **state)
{
	struct io_uring_probe *probe = calloc(1, sizeof(*probe) + 64 * sizeof(struct io_uring_probe_op));
	int fd = find_ring();

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(syscall(SYS_io_uring_register, fd, IORING_REGISTER_PROBE, probe, 64), -1);
	assert_int_equal(errno, EACCES);
	free(probe);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up_disks, tear_down_disks)

TESTS(T(test_each_user_gets_its_own_requests), T(test_who_waits_leaves_the_others_theirs), T(test_a_flush_completes),
      T(test_the_ring_is_restricted))
