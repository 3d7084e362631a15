/* SPDX-License-Identifier: Apache-2.0 */
/* What a container sees of the host: detached copies of mounts (open_tree(2)), handed to the VMM as descriptors. */
#ifndef RUNTIME_SHARE_H
#define RUNTIME_SHARE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"

#define SHARES_MAX 60

struct share {
	char name[64];
	int fd; /* owned */
	int mount_index; /* in config.json's mounts; -1: the root file system */
	bool is_file;
};

struct share_list {
	struct share shares[SHARES_MAX];
	size_t n;
};

/*
 * The root file system and every bind source of the config. They are in no mount namespace and vanish with their
 * descriptors. Bind mounts that the spec wants read only are so here, on the host's side.
 */
int share_open_all(struct share_list *list, const char *bundle, const json_t *config, struct err *err) must_check;
void share_close_all(struct share_list *list);

#endif
