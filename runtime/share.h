/* SPDX-License-Identifier: Apache-2.0 */
/* What a container sees of the host: detached copies of mounts (open_tree(2)), handed to the VMM as descriptors. */
#ifndef RUNTIME_SHARE_H
#define RUNTIME_SHARE_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"
#include "lib/share_directory.h"

#define SHARES_MAX 60

#define SHARE_PREFIX_MAX 24
#define SHARE_NAME_MAX 64 /* CONFIG_NAME_MAX of the VMM */

struct share {
	char name[SHARE_NAME_MAX];
	char path[SHARE_DIRECTORY_MAX + SHARE_NAME_MAX]; /* in the guest's shared file system */
	int fd; /* owned */
	int mount_index; /* in config.json's mounts; -1: the root file system */
	bool is_file, is_socket;
};

struct share_list {
	const char *prefix; /* borrowed */
	struct share shares[SHARES_MAX];
	size_t n;
};

/*
 * The root file system of the config, and the source of one of its mounts: a detached mount that is the caller's, or
 * -errno. path gets where the root is. SHARE_NOT_A_BIND: the mount has no source on the host.
 */
#define SHARE_NOT_A_BIND (-1000000)
int share_open_root(const char *bundle, const json_t *config, char path[PATH_MAX], struct err *err) must_check;
int share_open_bind(const char *bundle, const json_t *config, int index, struct err *err) must_check;

/*
 * The root file system and every bind source of the config. They are in no mount namespace and vanish with their
 * descriptors. Bind mounts that the spec wants read only are so here, on the host's side. Names begin with prefix.
 */
int share_open_all(struct share_list *list, const char *prefix, const char *bundle, const json_t *config,
		   struct err *err) must_check;

/*
 * A detached mount of the socket at path in the directory that is the source of a mount, or negative: there is none. Links in that
 * directory, which may be anybody's, do not lead out of it.
 */
int share_open_socket(const char *bundle, const json_t *config, int index, const char *path) must_check;

/* One more, for the mount of this index; owns fd, a detached mount, in every case. */
int share_add(struct share_list *list, int fd, int mount_index, struct err *err) must_check;

/* The name of a mount's share (mount_index as above). */
void share_name(char out[SHARE_NAME_MAX], const char *prefix, int mount_index);

void share_close_all(struct share_list *list);

#endif
