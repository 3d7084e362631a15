/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filter: struct bpf_cgroup_dev_ctx {access_type, major, minor}; access_type holds the access in the upper and the
 * device type in the lower 16 bits. Rules are compiled last to first, so the last that matches decides, as in v1.
 */
#include "agent/device_filter.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/json.h"

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

int device_filter_attach(int cgroup_fd, const json_t *rules, struct err *err)
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
