/* SPDX-License-Identifier: Apache-2.0 */
/* What virtual machine is wanted: the VMM's command line as validated data. */
#ifndef VMM_CONFIG_H
#define VMM_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define CONFIG_SHARES_MAX 64
#define CONFIG_DISKS_MAX 8
#define CONFIG_NETS_MAX 8
#define CONFIG_SLOTS_MAX 8
#define CONFIG_VCPUS_MAX 32
#define CONFIG_MEMORY_MIN_MIB 64
#define CONFIG_MEMORY_MAX_MIB (1 << 20)

#define CONFIG_NAME_MAX 64 /* with the NUL; of a share */
#define CONFIG_DEVICE_ID_MAX 21 /* with the NUL: of a disk, virtio 1.2, 5.2.6 */

struct config_share {
	char name[CONFIG_NAME_MAX];
	int fd;
};

struct config_disk {
	char id[CONFIG_DEVICE_ID_MAX];
	int fd;
	bool read_only;
};

struct config_net {
	uint8_t mac[6];
	int tap;
};

struct config {
	unsigned int vcpus;
	unsigned int memory_mib;
	unsigned int growth_mib; /* how much more the VM may get while it runs */
	unsigned int slots;	 /* for devices that come while it runs */
	const char *cmdline; /* borrowed from argv, as are all strings here */
	int kernel_fd, initrd_fd, kvm_fd;
	int snapshot_fd; /* empty file: the VM is saved there when its guest first calls the host, and ends; -1: not */
	int restore_fd;	 /* a snapshot, instead of kernel and initrd; -1: none */
	int owner_fd; /* read end of a pipe: the VM ends when nobody holds the other end any more; -1: none */
	const char *root; /* directory that becomes the process's root */
	uint64_t cid;
	const char *vsock;   /* name of the listening socket in root, NULL: no vsock */
	const char *control; /* the same, for the control socket */
	const char *console; /* the same, for attaching to hvc0; NULL: no virtio-console */
	bool rng, balloon;
	const char *fs_tag; /* NULL: no file server */
	unsigned int fs_workers;
	struct config_share shares[CONFIG_SHARES_MAX];
	size_t nshares;
	struct config_disk disks[CONFIG_DISKS_MAX];
	size_t ndisks;
	bool late_disks; /* more may come while the VM runs, into slots */
	struct config_net nets[CONFIG_NETS_MAX];
	size_t nnets;
	uint64_t net_rate; /* bytes a second, each way, of each; 0: no limit */
	bool log_json;
	bool debug;
	bool show_help, show_version;
};

/* Opens --kernel and --initrd. Strings stay in argv. */
int config_parse(struct config *config, int argc, char **argv, struct err *err) must_check;

/* The options, for --help. */
void config_print_usage(void);

#endif
