/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest has open, by number. */
#include "vmm/fs/operations.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static struct handle *handle_get(struct passthrough *fs, uint64_t number)
{
	struct handle *handle;

	pthread_mutex_lock(&fs->lock);
	handle = table_get(&fs->handles, number);
	if (handle)
		handle->references++;
	pthread_mutex_unlock(&fs->lock);
	return handle;
}

/* Under the lock. */
static void handle_unreference(struct handle *handle)
{
	if (--handle->references > 0)
		return;
	close(handle->fd);
	if (handle->append_fd >= 0)
		close(handle->append_fd);
	free(handle);
}

void handle_reference_release(struct handle_reference *reference)
{
	int saved = errno;

	if (reference->handle) {
		pthread_mutex_lock(&reference->fs->lock);
		handle_unreference(reference->handle);
		pthread_mutex_unlock(&reference->fs->lock);
	}
	errno = saved;
}

struct handle_reference handle_of(fuse_req_t req, const struct fuse_file_info *fi)
{
	struct passthrough *fs = passthrough_of(req);

	return (struct handle_reference){ .fs = fs, .handle = fi ? handle_get(fs, fi->fh) : NULL };
}

int64_t handle_new(struct passthrough *fs, int fd)
{
	struct handle *handle = calloc(1, sizeof(*handle));
	int64_t number;

	if (!handle) {
		close(fd);
		return -ENOMEM;
	}
	handle->fd = fd;
	handle->append_fd = -1;
	handle->references = 1;
	pthread_mutex_init(&handle->lock, NULL);
	pthread_mutex_lock(&fs->lock);
	number = table_add(&fs->handles, handle);
	pthread_mutex_unlock(&fs->lock);
	if (number < 0) {
		close(fd);
		free(handle);
	}
	return number;
}

void handle_release(struct passthrough *fs, uint64_t number)
{
	struct handle *handle;

	pthread_mutex_lock(&fs->lock);
	handle = table_get(&fs->handles, number);
	if (handle) {
		table_remove(&fs->handles, number);
		handle_unreference(handle);
	}
	pthread_mutex_unlock(&fs->lock);
}

void passthrough_drop_handles(struct passthrough *fs)
{
	pthread_mutex_lock(&fs->lock);
	for (size_t i = 0; i < fs->handles.size; i++) {
		struct handle *handle = table_get(&fs->handles, i);

		if (handle)
			handle_unreference(handle);
	}
	table_done(&fs->handles);
	pthread_mutex_unlock(&fs->lock);
}
