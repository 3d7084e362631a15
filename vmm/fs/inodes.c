/* SPDX-License-Identifier: Apache-2.0 */
/* The inodes that the guest knows. */
#include "vmm/fs/inodes.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "vmm/fs/locks.h"

/* Node ids start behind the virtual root's. */
#define ID_FIRST (INODES_ROOT_ID + 1)

void inodes_init(struct inodes *inodes, size_t max)
{
	pthread_mutex_init(&inodes->lock, NULL);
	table_init(&inodes->table, max);
	for (size_t i = 0; i < INODES_BUCKETS; i++)
		inodes->buckets[i] = NULL;
}

static struct inode **bucket(struct inodes *inodes, dev_t dev, ino_t ino)
{
	uint64_t hash = (ino ^ dev * 0x9e3779b97f4a7c15ULL) * 0x9e3779b97f4a7c15ULL;

	return &inodes->buckets[hash >> 52 & (INODES_BUCKETS - 1)];
}

void inodes_close_socket(struct inodes *inodes, struct inode *inode)
{
	if (inode->socket < 0)
		return;
	fd_close(&inode->socket);
	inodes->sockets--;
}

static void destroy(struct inodes *inodes, struct inode *inode)
{
	struct inode **at = bucket(inodes, inode->dev, inode->ino);

	while (*at != inode)
		at = &(*at)->next;
	*at = inode->next;
	table_remove(&inodes->table, inode->id - ID_FIRST);
	/* Of a guest that forgets a file whose locks it has. Nobody else uses the inode any more. */
	locks_drop_all(inodes, inode);
	inodes_close_socket(inodes, inode);
	close(inode->fd);
	free(inode);
}

void inodes_clear(struct inodes *inodes)
{
	pthread_mutex_lock(&inodes->lock);
	for (size_t i = 0; i < INODES_BUCKETS; i++)
		while (inodes->buckets[i])
			destroy(inodes, inodes->buckets[i]);
	table_done(&inodes->table);
	pthread_mutex_unlock(&inodes->lock);
}

/* Under the lock. */
static int insert(struct inodes *inodes, int fd, const struct stat *st, bool read_only, struct inode **ret)
{
	struct inode *inode = calloc(1, sizeof(*inode));
	struct inode **at = bucket(inodes, st->st_dev, st->st_ino);
	int64_t number;

	if (!inode)
		return -ENOMEM;
	number = table_add(&inodes->table, inode);
	if (number < 0) {
		free(inode);
		return (int)number;
	}
	inode->id = (uint64_t)number + ID_FIRST;
	inode->fd = fd;
	inode->socket = -1;
	inode->dev = st->st_dev;
	inode->ino = st->st_ino;
	inode->type = st->st_mode & S_IFMT;
	inode->read_only = read_only;
	inode->next = *at;
	*at = inode;
	*ret = inode;
	return 0;
}

/* The type is part of the key: an inode number that was freed and used again is another file. */
static bool is_inode(const struct inode *inode, const struct stat *st, bool read_only)
{
	return inode->dev == st->st_dev && inode->ino == st->st_ino && inode->type == (st->st_mode & S_IFMT) &&
	       inode->read_only == read_only;
}

int inodes_lookup(struct inodes *inodes, int fd, const struct stat *st, bool read_only, struct inode **ret)
{
	struct inode *inode;
	int result = 0;

	pthread_mutex_lock(&inodes->lock);
	inode = *bucket(inodes, st->st_dev, st->st_ino);
	while (inode && !is_inode(inode, st, read_only))
		inode = inode->next;
	if (inode)
		close(fd);
	else
		result = insert(inodes, fd, st, read_only, &inode);
	if (result < 0) {
		close(fd);
	} else {
		if (inode->lookups++ == 0)
			inode->references++;
		*ret = inode;
	}
	pthread_mutex_unlock(&inodes->lock);
	return result;
}

struct inode *inodes_get(struct inodes *inodes, uint64_t id)
{
	struct inode *inode = NULL;

	pthread_mutex_lock(&inodes->lock);
	if (id >= ID_FIRST)
		inode = table_get(&inodes->table, id - ID_FIRST);
	if (inode)
		inode->references++;
	pthread_mutex_unlock(&inodes->lock);
	return inode;
}

/* Under the lock. */
static void unreference(struct inodes *inodes, struct inode *inode)
{
	if (--inode->references == 0)
		destroy(inodes, inode);
}

void inodes_put(struct inodes *inodes, struct inode *inode)
{
	if (!inode)
		return;
	pthread_mutex_lock(&inodes->lock);
	unreference(inodes, inode);
	pthread_mutex_unlock(&inodes->lock);
}

bool inodes_note_change(struct inodes *inodes, struct inode *inode, const struct timespec *changed)
{
	bool same;

	pthread_mutex_lock(&inodes->lock);
	same = changed && inode->settled && inode->changed.tv_sec == changed->tv_sec && inode->changed.tv_nsec == changed->tv_nsec;
	inode->settled = changed != NULL;
	if (changed)
		inode->changed = *changed;
	pthread_mutex_unlock(&inodes->lock);
	return same;
}

void inodes_forget(struct inodes *inodes, uint64_t id, uint64_t n)
{
	struct inode *inode = NULL;

	pthread_mutex_lock(&inodes->lock);
	if (id >= ID_FIRST)
		inode = table_get(&inodes->table, id - ID_FIRST);
	if (inode && inode->lookups > 0) {
		inode->lookups -= n < inode->lookups ? n : inode->lookups;
		if (inode->lookups == 0)
			unreference(inodes, inode);
	}
	pthread_mutex_unlock(&inodes->lock);
}
