/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inodes that the guest knows: from node id to an O_PATH descriptor and back from (device, inode number), so that
 * hard links share an id. Thread-safe: has its own lock.
 *
 * A descriptor is of the mount that it was opened on. A file that is shared by a read-only mount and by a writable one, as with
 * "-v /srv:/srv:ro -v /srv/data:/srv/data", is two inodes therefore: with one, whoever came first would decide what may be done.
 */
#ifndef VMM_FS_INODES_H
#define VMM_FS_INODES_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include "vmm/fs/table.h"

#define INODES_BUCKETS 4096

/* Virtual directories (virtual.c) have ids, but no struct inode: the root, and one for each file system of the host. */
#define INODES_ROOT_ID 1
#define INODES_FILE_SYSTEM_FIRST (1ULL << 40)

static inline bool inodes_is_virtual(uint64_t id)
{
	return id == INODES_ROOT_ID || id >= INODES_FILE_SYSTEM_FIRST;
}

/* dev: st_dev of any file of the file system. */
static inline uint64_t inodes_file_system_id(dev_t dev)
{
	return INODES_FILE_SYSTEM_FIRST | (dev & (INODES_FILE_SYSTEM_FIRST - 1));
}

struct inode {
	uint64_t id;
	int fd; /* O_PATH, owned */
	dev_t dev;
	ino_t ino;
	mode_t type; /* S_IFMT bits */
	bool read_only; /* on a read-only mount */
	uint64_t lookups; /* how often the guest was given the id; under the lock */
	unsigned int references; /* users in this process, plus one while lookups > 0; under the lock */
	bool settled; /* under the lock, as the next: see page_cache.c */
	struct timespec changed;
	_Atomic off_t told_size; /* what the guest last heard of its size, or made it: page_cache.c */
	struct lock_owner *lock_owners; /* locks.h; owned; under passthrough.locks */
	int socket; /* that is bound to it: sockets.c; owned, -1: none; under passthrough.sockets */
	struct inode *next; /* in its bucket */
};

struct inodes {
	pthread_mutex_t lock;
	struct table table;
	struct inode *buckets[INODES_BUCKETS];
	_Atomic size_t lock_ranges; /* of all their lock owners: locks.c */
	_Atomic size_t sockets; /* that they have */
};

void inodes_init(struct inodes *inodes, size_t max);

/* Drops every inode. No user may be left. */
void inodes_clear(struct inodes *inodes);

/*
 * The inode behind fd (O_PATH, ownership passes in every case), whose stat is st and whose mount may be read only; the guest's
 * lookup count grows by one. *ret is valid until the guest forgets it. 0 or -errno.
 */
int inodes_lookup(struct inodes *inodes, int fd, const struct stat *st, bool read_only, struct inode **ret);

/* A reference to the inode with this id, or NULL. */
struct inode *inodes_get(struct inodes *inodes, uint64_t id);
void inodes_put(struct inodes *inodes, struct inode *inode);

/* Its socket goes, if it has one: by whoever has the lock of that, or is the last to know the inode. */
void inodes_close_socket(struct inodes *inodes, struct inode *inode);

/*
 * Notes when the file was last changed, NULL if that is not settled yet. Returns whether it was settled at the last note, too,
 * with the same time.
 */
bool inodes_note_change(struct inodes *inodes, struct inode *inode, const struct timespec *changed);

/* The guest gives n lookups back; more than it has count as all. */
void inodes_forget(struct inodes *inodes, uint64_t id, uint64_t n);

#endif
