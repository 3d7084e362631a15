/* SPDX-License-Identifier: Apache-2.0 */
/* Device nodes and the device filter. */
#include "agent/devices.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/path.h"

struct node {
	const char *path;
	mode_t type, mode;
	unsigned int major, minor;
	uid_t uid;
	gid_t gid;
};

static const struct node default_nodes[] = {
	{ "/dev/null", S_IFCHR, 0666, 1, 3, 0, 0 },   { "/dev/zero", S_IFCHR, 0666, 1, 5, 0, 0 },
	{ "/dev/full", S_IFCHR, 0666, 1, 7, 0, 0 },   { "/dev/random", S_IFCHR, 0666, 1, 8, 0, 0 },
	{ "/dev/urandom", S_IFCHR, 0666, 1, 9, 0, 0 }, { "/dev/tty", S_IFCHR, 0666, 5, 0, 0, 0 },
};

static const char *const links[][2] = {
	{ "/proc/self/fd", "fd" },
	{ "/proc/self/fd/0", "stdin" },
	{ "/proc/self/fd/1", "stdout" },
	{ "/proc/self/fd/2", "stderr" },
	{ "pts/ptmx", "ptmx" },
};

/* In a user namespace, or on a shared directory, mknod(2) is refused: the guest's own node is bound instead. */
static int bind_node(int parent, const char *name, int guest_dev, const struct node *node)
{
	const char *guest_name = strrchr(node->path, '/') + 1;
	auto_fd source = open_tree(guest_dev, guest_name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	auto_fd target = -1;

	if (source < 0)
		return -errno;
	target = openat(parent, name, O_CREAT | O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0666);
	if (target < 0 || move_mount(source, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return -errno;
	return 0;
}

static int create_node(int rootfs, int guest_dev, const struct node *node)
{
	char directory[PATH_MAX];
	const char *slash = strrchr(node->path, '/');
	auto_fd parent = -1;

	if (!slash || slash[1] == '\0' || (size_t)(slash - node->path) >= sizeof(directory))
		return -EINVAL;
	memcpy(directory, node->path, (size_t)(slash - node->path));
	directory[slash - node->path] = '\0';
	parent = path_make_directory(rootfs, directory, 0755);
	if (parent < 0)
		return parent;
	if (mknodat(parent, slash + 1, node->type | node->mode, makedev(node->major, node->minor)) < 0) {
		struct stat st;

		if (errno == EEXIST && fstatat(parent, slash + 1, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    (st.st_mode & S_IFMT) == node->type &&
		    (node->type == S_IFIFO || st.st_rdev == makedev(node->major, node->minor)))
			return 0;
		if (errno != EPERM && errno != EEXIST)
			return -errno;
		return bind_node(parent, slash + 1, guest_dev, node);
	}
	/* The umask has taken bits from the mode. */
	if (fchmodat(parent, slash + 1, node->mode, 0) < 0 ||
	    fchownat(parent, slash + 1, node->uid, node->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

static int node_from_spec(const json_t *device, struct node *node)
{
	const char *type = json_get_string(device, "type", "");

	*node = (struct node){
		.path = json_get_string(device, "path", ""),
		.mode = (mode_t)json_get_integer(device, "fileMode", 0666) & 07777,
		.major = (unsigned int)json_get_integer(device, "major", 0),
		.minor = (unsigned int)json_get_integer(device, "minor", 0),
		.uid = (uid_t)json_get_integer(device, "uid", 0),
		.gid = (gid_t)json_get_integer(device, "gid", 0),
	};
	if (!strcmp(type, "c") || !strcmp(type, "u"))
		node->type = S_IFCHR;
	else if (!strcmp(type, "b"))
		node->type = S_IFBLK;
	else if (!strcmp(type, "p"))
		node->type = S_IFIFO;
	else
		return -EINVAL;
	return 0;
}

int devices_create(int rootfs, int guest_dev, const json_t *devices, struct err *err)
{
	auto_fd dev = -1;
	const json_t *device;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(default_nodes); i++) {
		int ret = create_node(rootfs, guest_dev, &default_nodes[i]);

		if (ret < 0)
			return err_set(err, -ret, "create device %s", default_nodes[i].path);
	}
	json_array_foreach(devices, i, device) {
		struct node node;
		int ret = node_from_spec(device, &node);

		if (ret == 0)
			ret = create_node(rootfs, guest_dev, &node);
		if (ret < 0)
			return err_set(err, -ret, "linux.devices[%zu]: create device %s", i, node.path);
	}
	dev = path_open_in_root(rootfs, "/dev", O_PATH | O_DIRECTORY);
	if (dev < 0)
		return err_set(err, -dev, "open /dev");
	for (i = 0; i < ARRAY_SIZE(links); i++)
		if (symlinkat(links[i][0], dev, links[i][1]) < 0 && errno != EEXIST)
			return err_set(err, errno, "create /dev/%s", links[i][1]);
	return 0;
}

/*
 * The filter: struct bpf_cgroup_dev_ctx {access_type, major, minor}; access_type holds the access in the upper and the
 * device type in the lower 16 bits. Rules are compiled last to first, so the last that matches decides, as in v1.
 */
#define INSNS_PER_RULE 12
#define RULES_MAX 512
#define R_RET 0
#define R_CTX 1
#define R_TYPE 2
#define R_ACCESS 3
#define R_MAJOR 4
#define R_MINOR 5
#define R_TMP 6

struct program {
	struct bpf_insn insns[RULES_MAX * INSNS_PER_RULE + 16];
	size_t n;
};

static void emit(struct program *p, uint8_t code, uint8_t dst, uint8_t src, int16_t off, int32_t imm)
{
	p->insns[p->n++] = (struct bpf_insn){ .code = code, .dst_reg = dst, .src_reg = src, .off = off, .imm = imm };
}

struct rule {
	bool allow;
	int type; /* BPF_DEVCG_DEV_*, 0: all */
	int64_t major, minor; /* -1: all */
	int access; /* BPF_DEVCG_ACC_* */
};

/* Returns whether the rule decides in every case: code behind it would be unreachable, which the verifier refuses. */
static bool emit_rule(struct program *p, const struct rule *rule)
{
	const int all = BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE | BPF_DEVCG_ACC_MKNOD;
	size_t jumps[4], njumps = 0;

	if (rule->type) {
		jumps[njumps++] = p->n;
		emit(p, BPF_JMP | BPF_JNE | BPF_K, R_TYPE, 0, 0, rule->type);
	}
	if (rule->access != all) {
		/* The rule speaks of this access only if it covers all of it. */
		emit(p, BPF_ALU | BPF_MOV | BPF_X, R_TMP, R_ACCESS, 0, 0);
		emit(p, BPF_ALU | BPF_AND | BPF_K, R_TMP, 0, 0, rule->access);
		jumps[njumps++] = p->n;
		emit(p, BPF_JMP | BPF_JNE | BPF_X, R_TMP, R_ACCESS, 0, 0);
	}
	if (rule->major >= 0) {
		jumps[njumps++] = p->n;
		emit(p, BPF_JMP | BPF_JNE | BPF_K, R_MAJOR, 0, 0, (int32_t)rule->major);
	}
	if (rule->minor >= 0) {
		jumps[njumps++] = p->n;
		emit(p, BPF_JMP | BPF_JNE | BPF_K, R_MINOR, 0, 0, (int32_t)rule->minor);
	}
	emit(p, BPF_ALU64 | BPF_MOV | BPF_K, R_RET, 0, 0, rule->allow);
	emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	for (size_t i = 0; i < njumps; i++)
		p->insns[jumps[i]].off = (int16_t)(p->n - jumps[i] - 1);
	return njumps == 0;
}

/* Allowed unless the spec says otherwise: the default devices, ptys, and making any node. */
static const struct rule default_rules[] = {
	{ true, BPF_DEVCG_DEV_CHAR, -1, -1, BPF_DEVCG_ACC_MKNOD },
	{ true, BPF_DEVCG_DEV_BLOCK, -1, -1, BPF_DEVCG_ACC_MKNOD },
	{ true, BPF_DEVCG_DEV_CHAR, 1, 3, 7 },
	{ true, BPF_DEVCG_DEV_CHAR, 1, 5, 7 },
	{ true, BPF_DEVCG_DEV_CHAR, 1, 7, 7 },
	{ true, BPF_DEVCG_DEV_CHAR, 1, 8, 7 },
	{ true, BPF_DEVCG_DEV_CHAR, 1, 9, 7 },
	{ true, BPF_DEVCG_DEV_CHAR, 5, 0, 7 },
	{ true, BPF_DEVCG_DEV_CHAR, 5, 2, 7 },
	{ true, BPF_DEVCG_DEV_CHAR, 136, -1, 7 },
};

static struct rule rule_from_spec(const json_t *entry)
{
	const char *type = json_get_string(entry, "type", "a");
	const char *access = json_get_string(entry, "access", "");
	struct rule rule = {
		.allow = json_get_bool(entry, "allow", false),
		.major = json_get_integer(entry, "major", -1),
		.minor = json_get_integer(entry, "minor", -1),
	};

	rule.type = *type == 'c' ? BPF_DEVCG_DEV_CHAR : *type == 'b' ? BPF_DEVCG_DEV_BLOCK : 0;
	rule.access = (strchr(access, 'r') ? BPF_DEVCG_ACC_READ : 0) | (strchr(access, 'w') ? BPF_DEVCG_ACC_WRITE : 0) |
		      (strchr(access, 'm') ? BPF_DEVCG_ACC_MKNOD : 0);
	if (!rule.access)
		rule.access = 7;
	return rule;
}

static void compile(struct program *p, const json_t *rules)
{
	emit(p, BPF_LDX | BPF_MEM | BPF_W, R_TYPE, R_CTX, 0, 0);
	emit(p, BPF_ALU | BPF_MOV | BPF_X, R_ACCESS, R_TYPE, 0, 0);
	emit(p, BPF_ALU | BPF_AND | BPF_K, R_TYPE, 0, 0, 0xffff);
	emit(p, BPF_ALU | BPF_RSH | BPF_K, R_ACCESS, 0, 0, 16);
	emit(p, BPF_LDX | BPF_MEM | BPF_W, R_MAJOR, R_CTX, 4, 0);
	emit(p, BPF_LDX | BPF_MEM | BPF_W, R_MINOR, R_CTX, 8, 0);
	/* The defaults come after the spec's rules in v1, as runc has it: so they are asked first. */
	for (size_t i = 0; i < ARRAY_SIZE(default_rules); i++)
		emit_rule(p, &default_rules[i]);
	for (size_t i = json_array_size(rules); i > 0; i--) {
		struct rule rule = rule_from_spec(json_array_get(rules, i - 1));

		if (emit_rule(p, &rule))
			return;
	}
	emit(p, BPF_ALU64 | BPF_MOV | BPF_K, R_RET, 0, 0, 0);
	emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static int load(const struct program *p)
{
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
		.insn_cnt = (uint32_t)p->n,
		.insns = (uintptr_t)p->insns,
		.license = (uintptr_t)"Apache-2.0",
	};
	int fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));

	return fd < 0 ? -errno : fd;
}

int devices_filter(int cgroup_fd, const json_t *rules, struct err *err)
{
	auto_free struct program *p = calloc(1, sizeof(*p));
	union bpf_attr attr = { 0 };
	auto_fd program = -1;

	if (!p)
		return err_set(err, ENOMEM, "device filter");
	if (json_array_size(rules) > RULES_MAX - ARRAY_SIZE(default_rules))
		return err_msg(err, E2BIG, "linux.resources.devices: more than %zu rules", RULES_MAX - ARRAY_SIZE(default_rules));
	compile(p, rules);
	program = load(p);
	if (program < 0)
		return err_set(err, -program, "load the device filter");
	attr.target_fd = (uint32_t)cgroup_fd;
	attr.attach_bpf_fd = (uint32_t)program;
	attr.attach_type = BPF_CGROUP_DEVICE;
	/* Below a container that attaches filters of its own, both must agree. */
	attr.attach_flags = BPF_F_ALLOW_MULTI;
	if (syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof(attr)) < 0)
		return err_set(err, errno, "attach the device filter");
	return 0;
}
