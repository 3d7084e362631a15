/* SPDX-License-Identifier: Apache-2.0 */
/* The VMM's options: one table. */
#include "vmm/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"

struct option_rule {
	const char *name;
	const char *value; /* what it is called in --help; NULL: the option takes none */
	int (*set)(struct config *config, const char *value, struct err *err);
	const char *help;
};

static int parse_number(const char *text, unsigned long long min, unsigned long long max, unsigned long long *ret,
			struct err *err)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	if (errno || *end || end == text || *text == '-' || *ret < min || *ret > max)
		return err_msg(err, EINVAL, "'%s' is not a number from %llu to %llu", text, min, max);
	return 0;
}

static int set_number(unsigned int *field, const char *text, unsigned int min, unsigned int max, struct err *err)
{
	unsigned long long value;
	int ret = parse_number(text, min, max, &value, err);

	if (ret == 0)
		*field = (unsigned int)value;
	return ret;
}

static int set_vcpus(struct config *config, const char *value, struct err *err)
{
	return set_number(&config->vcpus, value, 1, CONFIG_VCPUS_MAX, err);
}

static int set_memory(struct config *config, const char *value, struct err *err)
{
	return set_number(&config->memory_mib, value, CONFIG_MEMORY_MIN_MIB, CONFIG_MEMORY_MAX_MIB, err);
}

static int set_growth(struct config *config, const char *value, struct err *err)
{
	return set_number(&config->growth_mib, value, 0, CONFIG_MEMORY_MAX_MIB, err);
}

static int set_slots(struct config *config, const char *value, struct err *err)
{
	return set_number(&config->slots, value, 0, CONFIG_SLOTS_MAX, err);
}

static int open_input(int *fd, const char *path, struct err *err)
{
	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	return *fd < 0 ? err_set(err, errno, "open %s", path) : 0;
}

static int set_kernel(struct config *config, const char *value, struct err *err)
{
	return open_input(&config->kernel_fd, value, err);
}

static int set_initrd(struct config *config, const char *value, struct err *err)
{
	return open_input(&config->initrd_fd, value, err);
}

/* A descriptor that was passed in must not leak further. */
static int take_fd(int *field, const char *text, struct err *err)
{
	unsigned long long fd;
	int ret = parse_number(text, 3, 1 << 20, &fd, err);

	if (ret < 0)
		return ret;
	if (fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0)
		return err_set(err, errno, "descriptor %llu", fd);
	*field = (int)fd;
	return 0;
}

static int set_kernel_fd(struct config *config, const char *value, struct err *err)
{
	return take_fd(&config->kernel_fd, value, err);
}

static int set_initrd_fd(struct config *config, const char *value, struct err *err)
{
	return take_fd(&config->initrd_fd, value, err);
}

static int set_kvm_fd(struct config *config, const char *value, struct err *err)
{
	return take_fd(&config->kvm_fd, value, err);
}

static int set_owner_fd(struct config *config, const char *value, struct err *err)
{
	return take_fd(&config->owner_fd, value, err);
}

static int set_snapshot_fd(struct config *config, const char *value, struct err *err)
{
	return take_fd(&config->snapshot_fd, value, err);
}

static int set_restore_fd(struct config *config, const char *value, struct err *err)
{
	return take_fd(&config->restore_fd, value, err);
}

static int set_cid(struct config *config, const char *value, struct err *err)
{
	unsigned long long cid;
	int ret = parse_number(value, 3, 0xfffffffeULL, &cid, err);

	if (ret == 0)
		config->cid = cid;
	return ret;
}

/* A socket in the root directory: one path component. */
static int set_socket(const char **field, const char *value, struct err *err)
{
	if (!*value || strchr(value, '/') || strlen(value) > 64)
		return err_msg(err, EINVAL, "'%s' is not a file name of 1 to 64 bytes", value);
	*field = value;
	return 0;
}

static int set_vsock(struct config *config, const char *value, struct err *err)
{
	return set_socket(&config->vsock, value, err);
}

static int set_control(struct config *config, const char *value, struct err *err)
{
	return set_socket(&config->control, value, err);
}

static int set_console(struct config *config, const char *value, struct err *err)
{
	return set_socket(&config->console, value, err);
}

static int set_cmdline(struct config *config, const char *value, struct err *err)
{
	(void)err;
	config->cmdline = value;
	return 0;
}

static int set_root(struct config *config, const char *value, struct err *err)
{
	(void)err;
	config->root = value;
	return 0;
}

static int set_rng(struct config *config, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	config->rng = true;
	return 0;
}

static int set_late_disks(struct config *config, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	config->late_disks = true;
	return 0;
}

static int set_balloon(struct config *config, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	config->balloon = true;
	return 0;
}

static int set_fs(struct config *config, const char *value, struct err *err)
{
	(void)err;
	config->fs_tag = value;
	return 0;
}

static int set_fs_workers(struct config *config, const char *value, struct err *err)
{
	return set_number(&config->fs_workers, value, 1, 8, err);
}

/* What stands before the '=' of a value. */
static int set_name(char *to, size_t size, const char *value, const char *equals, const char *form, struct err *err)
{
	size_t len = equals ? (size_t)(equals - value) : 0;

	if (len == 0)
		return err_msg(err, EINVAL, "'%s' is not %s", value, form);
	if (len >= size)
		return err_msg(err, EINVAL, "'%s': a name of at most %zu bytes", value, size - 1);
	memcpy(to, value, len);
	to[len] = '\0';
	return 0;
}

/* NAME=FD */
static int set_share(struct config *config, const char *value, struct err *err)
{
	const char *equals = strrchr(value, '=');
	struct config_share *share = &config->shares[config->nshares];
	int ret;

	if (config->nshares == CONFIG_SHARES_MAX)
		return err_msg(err, E2BIG, "more than %d shares", CONFIG_SHARES_MAX);
	ret = set_name(share->name, sizeof(share->name), value, equals, "NAME=FD", err);
	if (ret == 0)
		ret = take_fd(&share->fd, equals + 1, err);
	if (ret < 0)
		return ret;
	config->nshares++;
	return 0;
}

static int add_disk(struct config *config, const char *value, bool read_only, struct err *err)
{
	const char *equals = strchr(value, '=');
	struct config_disk *disk = &config->disks[config->ndisks];

	if (config->ndisks == CONFIG_DISKS_MAX)
		return err_msg(err, E2BIG, "more than %d disks", CONFIG_DISKS_MAX);
	if (set_name(disk->id, sizeof(disk->id), value, equals, "ID=PATH", err) < 0)
		return -err->code;
	disk->fd = open(equals + 1, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY);
	if (disk->fd < 0)
		return err_set(err, errno, "open %s", equals + 1);
	disk->read_only = read_only;
	config->ndisks++;
	return 0;
}

/* ID=FD; read only if the descriptor is. */
static int set_disk_fd(struct config *config, const char *value, struct err *err)
{
	const char *equals = strchr(value, '=');
	struct config_disk *disk = &config->disks[config->ndisks];

	if (config->ndisks == CONFIG_DISKS_MAX)
		return err_msg(err, E2BIG, "more than %d disks", CONFIG_DISKS_MAX);
	if (set_name(disk->id, sizeof(disk->id), value, equals, "ID=FD", err) < 0 || take_fd(&disk->fd, equals + 1, err) < 0)
		return -err->code;
	disk->read_only = (fcntl(disk->fd, F_GETFL) & O_ACCMODE) == O_RDONLY;
	config->ndisks++;
	return 0;
}

static int set_disk(struct config *config, const char *value, struct err *err)
{
	return add_disk(config, value, false, err);
}

static int set_disk_ro(struct config *config, const char *value, struct err *err)
{
	return add_disk(config, value, true, err);
}

/* MAC=FD */
static int set_net(struct config *config, const char *value, struct err *err)
{
	struct config_net *net = &config->nets[config->nnets];
	int end = 0;

	if (config->nnets == CONFIG_NETS_MAX)
		return err_msg(err, E2BIG, "more than %d network devices", CONFIG_NETS_MAX);
	if (sscanf(value, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx=%n", &net->mac[0], &net->mac[1], &net->mac[2], &net->mac[3],
		   &net->mac[4], &net->mac[5], &end) != 6 || !end)
		return err_msg(err, EINVAL, "'%s' is not MAC=FD", value);
	if (take_fd(&net->tap, value + end, err) < 0)
		return -err->code;
	config->nnets++;
	return 0;
}

static int set_net_rate(struct config *config, const char *value, struct err *err)
{
	unsigned long long rate;

	if (parse_number(value, 1000, 1ULL << 40, &rate, err) < 0)
		return -err->code;
	config->net_rate = rate;
	return 0;
}

static int set_log_json(struct config *config, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	config->log_json = true;
	return 0;
}

static int set_debug(struct config *config, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	config->debug = true;
	return 0;
}

static int set_help(struct config *config, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	config->show_help = true;
	return 0;
}

static int set_version(struct config *config, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	config->show_version = true;
	return 0;
}

static const struct option_rule rules[] = {
	{ "--kernel", "FILE", set_kernel, "ELF kernel (vmlinux)" },
	{ "--kernel-fd", "FD", set_kernel_fd, "the same, already open" },
	{ "--initrd", "FILE", set_initrd, "initramfs" },
	{ "--initrd-fd", "FD", set_initrd_fd, "the same, already open" },
	{ "--cmdline", "TEXT", set_cmdline, "kernel command line" },
	{ "--kvm-fd", "FD", set_kvm_fd, "an open /dev/kvm; opened here without this option" },
	{ "--owner-fd", "FD", set_owner_fd, "a pipe's read end: the VM ends when the pipe's other end is closed" },
	{ "--snapshot-fd", "FD", set_snapshot_fd, "an empty file: the VM is saved there when its guest first calls the host" },
	{ "--restore-fd", "FD", set_restore_fd, "a snapshot of a VM with the same options, instead of a kernel" },
	{ "--vcpus", "N", set_vcpus, "1 to 32 (1)" },
	{ "--memory", "MIB", set_memory, "guest memory (128)" },
	{ "--growth", "MIB", set_growth, "how much it may become more while the VM runs (0)" },
	{ "--slots", "N", set_slots, "room for devices that come while the VM runs, 0 to 8 (0)" },
	{ "--root", "DIR", set_root, "becomes the process's root directory; the sockets below are made in it" },
	{ "--control", "NAME", set_control, "control socket" },
	{ "--vsock", "NAME", set_vsock, "vsock device behind this socket" },
	{ "--cid", "N", set_cid, "the guest's vsock address (3)" },
	{ "--console", "NAME", set_console, "virtio-console; attach to this socket" },
	{ "--rng", NULL, set_rng, "entropy device" },
	{ "--balloon", NULL, set_balloon, "balloon device with free page reporting" },
	{ "--fs", "TAG", set_fs, "file server device" },
	{ "--fs-workers", "N", set_fs_workers, "its threads, 1 to 8 (2)" },
	{ "--share", "NAME=FD", set_share, "an entry in the file server's root: an open directory or file (O_PATH)" },
	{ "--disk", "ID=FILE", set_disk, "block device over a raw file" },
	{ "--disk-ro", "ID=FILE", set_disk_ro, "the same, read only" },
	{ "--disk-fd", "ID=FD", set_disk_fd, "the same, already open, read only if opened so" },
	{ "--late-disks", NULL, set_late_disks, "disks may come while the VM runs" },
	{ "--net", "MAC=FD", set_net, "network device over an open tap with a virtio header" },
	{ "--net-rate", "BYTES", set_net_rate, "that each network device may receive in a second, and send" },
	{ "--log-json", NULL, set_log_json, "log lines as JSON" },
	{ "--debug", NULL, set_debug, "log more" },
	{ "--help", NULL, set_help, "this text" },
	{ "--version", NULL, set_version, "the version" },
};

static const struct option_rule *find_rule(const char *arg, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (strlen(rules[i].name) == len && !strncmp(rules[i].name, arg, len))
			return &rules[i];
	return NULL;
}

/* What a device with something open behind it knows is not in a snapshot; disks and network devices come later, into slots. */
static int check_snapshot(const struct config *config, struct err *err)
{
	bool saved = config->snapshot_fd >= 0, restored = config->restore_fd >= 0;

	if (saved && restored)
		return err_msg(err, EINVAL, "--snapshot-fd and --restore-fd exclude each other");
	if ((saved || restored) && (config->console || config->rng))
		return err_msg(err, EINVAL, "a VM with a console or an entropy device has no snapshot");
	if (saved && (config->nnets || config->ndisks || !config->vsock))
		return err_msg(err, EINVAL, "--snapshot-fd needs --vsock, and no disk or --net");
	if (restored && config->nnets + config->ndisks > config->slots)
		return err_msg(err, EINVAL, "%zu devices for a restored VM with %u slots", config->nnets + config->ndisks, config->slots);
	return 0;
}

static int check(const struct config *config, struct err *err)
{
	if (config->show_help || config->show_version)
		return 0;
	if (config->kernel_fd < 0 && config->restore_fd < 0)
		return err_msg(err, EINVAL, "no kernel: give --kernel or --kernel-fd");
	if (!config->root)
		return err_msg(err, EINVAL, "no root directory: give --root");
	if (config->growth_mib && !config->slots)
		return err_msg(err, EINVAL, "--growth needs --slots");
	if (config->late_disks && !config->slots)
		return err_msg(err, EINVAL, "--late-disks needs --slots");
	if (config->nshares && !config->fs_tag)
		return err_msg(err, EINVAL, "--share needs --fs");
	return check_snapshot(config, err);
}

int config_parse(struct config *config, int argc, char **argv, struct err *err)
{
	*config = (struct config){
		.vcpus = 1,
		.memory_mib = 128,
		.cmdline = "",
		.kernel_fd = -1,
		.initrd_fd = -1,
		.kvm_fd = -1,
		.owner_fd = -1,
		.snapshot_fd = -1,
		.restore_fd = -1,
		.cid = 3,
		.fs_workers = 2,
	};
	for (int i = 1; i < argc; i++) {
		const char *equals = strchr(argv[i], '=');
		size_t len = equals ? (size_t)(equals - argv[i]) : strlen(argv[i]);
		const struct option_rule *rule = find_rule(argv[i], len);
		const char *value = equals ? equals + 1 : NULL;

		if (!rule)
			return err_msg(err, EINVAL, "unknown option %.*s", (int)len, argv[i]);
		if (rule->value && !value)
			value = ++i < argc ? argv[i] : NULL;
		if (!rule->value != !value)
			return err_msg(err, EINVAL, "option %s %s", rule->name, rule->value ? "needs a value" : "takes no value");
		if (rule->set(config, value, err) < 0)
			return err_wrap(err, "%s", rule->name);
	}
	return check(config, err);
}

void config_print_usage(void)
{
	printf("Usage: cella-vmm --kernel FILE --root DIR [OPTION]...\n"
	       "Runs one virtual machine. Exit status: docs/errors.md.\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		char left[40];

		snprintf(left, sizeof(left), "%s%s%s", rules[i].name, rules[i].value ? " " : "",
			 rules[i].value ? rules[i].value : "");
		printf("  %-22s %s\n", left, rules[i].help);
	}
}
