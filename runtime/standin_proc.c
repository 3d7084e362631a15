/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stand-in's /proc.
 *
 * The protocol is that of linux/fuse.h. Requests come from the host's kernel, for whoever looks; what the guest has told is
 * checked when it comes (process_files.h). A node's number says what it is, so there is no table of them: the process's pid
 * and, in the low bits, which of its files.
 */
#include "runtime/standin_proc.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/log.h"
#include "runtime/agent_client.h"
#include "runtime/process_files.h"

#define REQUEST_MAX FUSE_MIN_READ_BUFFER
#define WRITE_MAX 4096 /* nothing can be written; the kernel wants a limit that fits a request */
#define READDIR_MAX 65536
#define KIND_BITS 3

enum kind { PROCESS, STAT, STATUS, CMDLINE, NAMESPACES, PID_NAMESPACE, SYSTEM_STAT, KINDS };

struct node {
	enum kind kind;
	int pid; /* 0 for SYSTEM_STAT */
};

static const struct {
	const char *name;
	mode_t mode;
	enum kind parent; /* KINDS: the root */
	char *(*read)(const Cella__Agent__Process *process, size_t *ret_len);
} kinds[KINDS] = {
	[PROCESS] = { NULL, S_IFDIR | 0555, KINDS, NULL },
	[STAT] = { "stat", S_IFREG | 0444, PROCESS, process_files_stat },
	[STATUS] = { "status", S_IFREG | 0444, PROCESS, process_files_status },
	[CMDLINE] = { "cmdline", S_IFREG | 0444, PROCESS, process_files_cmdline },
	[NAMESPACES] = { "ns", S_IFDIR | 0555, PROCESS, NULL },
	[PID_NAMESPACE] = { "pid", S_IFLNK | 0777, NAMESPACES, NULL },
	[SYSTEM_STAT] = { "stat", S_IFREG | 0444, KINDS, NULL },
};

/* The root is FUSE_ROOT_ID, 1: no other node has that number, for pids start from 1. */
static uint64_t number_of(enum kind kind, int pid)
{
	return (uint64_t)pid << KIND_BITS | kind;
}

static struct node node_of(uint64_t number)
{
	if (number == FUSE_ROOT_ID)
		return (struct node){ KINDS, 0 };
	return (struct node){ (enum kind)(number & ((1 << KIND_BITS) - 1)), (int)(number >> KIND_BITS) };
}

static void reply(const struct standin_proc *proc, uint64_t unique, int error, const void *data, size_t len)
{
	struct fuse_out_header header = { .len = (uint32_t)(sizeof(header) + len), .error = error, .unique = unique };
	struct iovec iov[] = { { &header, sizeof(header) }, { (void *)data, len } };

	/* ENOENT: whoever asked is gone. */
	if (writev(proc->fuse, iov, len ? 2 : 1) < 0 && errno != ENOENT)
		log_debug("answer a request for /proc: %s", strerror(errno));
}

static const Cella__Agent__Process *find_process(const struct standin_proc *proc, int pid)
{
	return proc->table ? process_files_find(proc->table, pid) : NULL;
}

static bool exists(const struct standin_proc *proc, struct node node)
{
	return node.kind == KINDS || (node.kind == SYSTEM_STAT ? node.pid == 0 : find_process(proc, node.pid) != NULL);
}

static struct fuse_attr attributes_of(struct node node)
{
	mode_t mode = node.kind == KINDS ? S_IFDIR | 0555 : kinds[node.kind].mode;

	return (struct fuse_attr){ .ino = node.kind == KINDS ? FUSE_ROOT_ID : number_of(node.kind, node.pid),
				   .mode = mode,
				   .nlink = S_ISDIR(mode) ? 2 : 1,
				   .blksize = 4096 };
}

/* A pid as /proc writes it, or 0. */
static int parse_pid(const char *name)
{
	char *end;
	long pid = *name >= '1' && *name <= '9' ? strtol(name, &end, 10) : 0;

	return pid > 0 && pid <= INT32_MAX && *end == '\0' ? (int)pid : 0;
}

static bool find_child(const struct standin_proc *proc, struct node parent, const char *name, struct node *ret_child)
{
	enum kind kind = 0;

	if (parent.kind == KINDS && parse_pid(name)) {
		*ret_child = (struct node){ PROCESS, parse_pid(name) };
		return exists(proc, *ret_child);
	}
	while (kind < KINDS && !(kinds[kind].name && kinds[kind].parent == parent.kind && !strcmp(kinds[kind].name, name)))
		kind++;
	*ret_child = (struct node){ kind, parent.pid };
	return kind < KINDS && exists(proc, *ret_child);
}

typedef void operation(struct standin_proc *proc, const struct fuse_in_header *in, const void *body);

static void do_init(struct standin_proc *proc, const struct fuse_in_header *in, const void *body)
{
	struct fuse_init_out out = { .major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION, .max_write = WRITE_MAX };

	(void)body;
	reply(proc, in->unique, 0, &out, sizeof(out));
}

static void do_lookup(struct standin_proc *proc, const struct fuse_in_header *in, const void *body)
{
	struct fuse_entry_out out = { 0 }; /* nothing is cached: a process may be gone the next moment */
	struct node node;

	if (!find_child(proc, node_of(in->nodeid), body, &node)) {
		reply(proc, in->unique, -ENOENT, NULL, 0);
		return;
	}
	out.nodeid = number_of(node.kind, node.pid);
	out.attr = attributes_of(node);
	reply(proc, in->unique, 0, &out, sizeof(out));
}

static void do_getattr(struct standin_proc *proc, const struct fuse_in_header *in, const void *body)
{
	struct node node = node_of(in->nodeid);
	struct fuse_attr_out out = { .attr = attributes_of(node) };

	(void)body;
	reply(proc, in->unique, exists(proc, node) ? 0 : -ENOENT, &out, exists(proc, node) ? sizeof(out) : 0);
}

static void do_readlink(struct standin_proc *proc, const struct fuse_in_header *in, const void *body)
{
	struct node node = node_of(in->nodeid);
	/* No stand-in stands for the other processes. */
	const char *target = node.pid == 1 ? proc->namespace : "pid:[0]";

	(void)body;
	if (node.kind != PID_NAMESPACE)
		reply(proc, in->unique, -EINVAL, NULL, 0);
	else
		reply(proc, in->unique, 0, target, strlen(target));
}

/* The directory is opened when the agent has told what is in it. */
static void answer_waiting(struct standin_proc *proc, int error)
{
	struct fuse_open_out out = { 0 };

	for (size_t i = 0; i < proc->n_waiting; i++)
		reply(proc, proc->waiting[i], error, &out, error ? 0 : sizeof(out));
	proc->n_waiting = 0;
}

static void described(void *ctx, const struct err *err, const uint8_t *payload, size_t len)
{
	struct standin_proc *proc = ctx;
	const ProtobufCMessageDescriptor *descriptor = &cella__agent__describe_processes_response__descriptor;
	Cella__Agent__DescribeProcessesResponse *table =
		err ? NULL : (Cella__Agent__DescribeProcessesResponse *)ttrpc_unpack(descriptor, payload, len);

	proc->asking = false;
	if (!table || !process_files_check(table)) {
		log_warn("the guest does not describe its processes: %s", err ? err->msg : "malformed answer");
		if (table)
			cella__agent__describe_processes_response__free_unpacked(table, NULL);
		answer_waiting(proc, -EIO);
		return;
	}
	if (proc->table)
		cella__agent__describe_processes_response__free_unpacked(proc->table, NULL);
	proc->table = table;
	answer_waiting(proc, 0);
}

static int ask(struct standin_proc *proc)
{
	Cella__Agent__ProcessRef request = CELLA__AGENT__PROCESS_REF__INIT;
	struct err err;
	int ret;

	request.id = (char *)proc->id;
	ret = ttrpc_call(proc->agent, AGENT_SERVICE, "DescribeProcesses", &request.base, described, proc, &err);
	if (ret < 0)
		log_warn("describe the guest's processes: %s", err.msg);
	proc->asking = ret == 0;
	return ret;
}

static void do_opendir(struct standin_proc *proc, const struct fuse_in_header *in, const void *body)
{
	struct fuse_open_out out = { 0 };

	(void)body;
	if (in->nodeid != FUSE_ROOT_ID) {
		reply(proc, in->unique, 0, &out, sizeof(out));
	} else if (proc->n_waiting == STANDIN_PROC_WAITING_MAX) {
		reply(proc, in->unique, -EAGAIN, NULL, 0);
	} else {
		proc->waiting[proc->n_waiting++] = in->unique;
		if (!proc->asking && ask(proc) < 0)
			answer_waiting(proc, -EIO);
	}
}

/* Somebody does not want to wait any longer; a guest may never answer. */
static void do_interrupt(struct standin_proc *proc, const struct fuse_in_header *in, const void *body)
{
	const struct fuse_interrupt_in *interrupt = body;

	(void)in;
	for (size_t i = 0; i < proc->n_waiting; i++) {
		if (proc->waiting[i] != interrupt->unique)
			continue;
		reply(proc, interrupt->unique, -EINTR, NULL, 0);
		proc->waiting[i] = proc->waiting[--proc->n_waiting];
		return;
	}
}

/* Appends an entry if it fits; next: where to go on after it. */
static bool add_entry(char *buffer, size_t room, size_t *used, struct node node, const char *name, uint64_t next)
{
	size_t len = strlen(name), size = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + len);
	struct fuse_dirent *entry = (struct fuse_dirent *)(buffer + *used);

	if (*used + size > room)
		return false;
	memset(entry, 0, size);
	entry->ino = number_of(node.kind, node.pid);
	entry->off = next;
	entry->namelen = (uint32_t)len;
	entry->type = kinds[node.kind].mode >> 12;
	memcpy(entry->name, name, len);
	*used += size;
	return true;
}

/* Offsets below KINDS are those of the files that have a name, and processes come after, by their pids. */
static size_t list_files(char *buffer, size_t room, struct node parent, uint64_t offset)
{
	size_t used = 0;

	for (uint64_t kind = offset; kind < KINDS; kind++)
		if (kinds[kind].name && kinds[kind].parent == parent.kind &&
		    !add_entry(buffer, room, &used, (struct node){ (enum kind)kind, parent.pid }, kinds[kind].name, kind + 1))
			break;
	return used;
}

static size_t list_processes(const struct standin_proc *proc, char *buffer, size_t room, uint64_t offset)
{
	size_t used = list_files(buffer, room, node_of(FUSE_ROOT_ID), offset);
	char name[16];

	for (size_t i = 0; proc->table && i < proc->table->n_processes; i++) {
		int pid = proc->table->processes[i]->pid;

		if (KINDS + (uint64_t)pid <= offset)
			continue;
		snprintf(name, sizeof(name), "%d", pid);
		if (!add_entry(buffer, room, &used, (struct node){ PROCESS, pid }, name, KINDS + (uint64_t)pid))
			break;
	}
	return used;
}

static void do_readdir(struct standin_proc *proc, const struct fuse_in_header *in, const void *body)
{
	static char buffer[READDIR_MAX] __attribute__((aligned(8))); /* of the loop's thread */
	const struct fuse_read_in *request = body;
	size_t room = request->size < sizeof(buffer) ? request->size : sizeof(buffer), used;

	used = in->nodeid == FUSE_ROOT_ID ? list_processes(proc, buffer, room, request->offset) :
					    list_files(buffer, room, node_of(in->nodeid), request->offset);
	reply(proc, in->unique, 0, buffer, used);
}

static void do_open(struct standin_proc *proc, const struct fuse_in_header *in, const void *body)
{
	/* No file has a size beforehand. */
	struct fuse_open_out out = { .open_flags = FOPEN_DIRECT_IO };

	(void)body;
	reply(proc, in->unique, 0, &out, sizeof(out));
}

static void do_read(struct standin_proc *proc, const struct fuse_in_header *in, const void *body)
{
	const struct fuse_read_in *request = body;
	struct node node = node_of(in->nodeid);
	const Cella__Agent__Process *process = find_process(proc, node.pid);
	auto_free char *text = NULL;
	size_t len = 0;

	if (node.kind == SYSTEM_STAT)
		text = process_files_system_stat(&len);
	else if (process && node.kind < KINDS && kinds[node.kind].read)
		text = kinds[node.kind].read(process, &len);
	if (!text) {
		reply(proc, in->unique, exists(proc, node) ? -ENOMEM : -ESRCH, NULL, 0);
		return;
	}
	len = request->offset < len ? len - request->offset : 0;
	reply(proc, in->unique, 0, text + request->offset * (len > 0), len < request->size ? len : request->size);
}

static void do_statfs(struct standin_proc *proc, const struct fuse_in_header *in, const void *body)
{
	struct fuse_statfs_out out = { .st = { .bsize = 4096, .namelen = 255 } };

	(void)body;
	reply(proc, in->unique, 0, &out, sizeof(out));
}

static void do_release(struct standin_proc *proc, const struct fuse_in_header *in, const void *body)
{
	(void)body;
	reply(proc, in->unique, 0, NULL, 0);
}

static void no_reply(struct standin_proc *proc, const struct fuse_in_header *in, const void *body)
{
	(void)proc;
	(void)in;
	(void)body;
}

static operation *const operations[] = {
	[FUSE_INIT] = do_init,	     [FUSE_LOOKUP] = do_lookup,	  [FUSE_GETATTR] = do_getattr,	    [FUSE_READLINK] = do_readlink,
	[FUSE_OPENDIR] = do_opendir, [FUSE_READDIR] = do_readdir, [FUSE_RELEASEDIR] = do_release,   [FUSE_OPEN] = do_open,
	[FUSE_READ] = do_read,	     [FUSE_RELEASE] = do_release, [FUSE_STATFS] = do_statfs,	    [FUSE_INTERRUPT] = do_interrupt,
	[FUSE_FORGET] = no_reply,    [FUSE_DESTROY] = no_reply,	  [FUSE_BATCH_FORGET] = no_reply,
};

static void requests_ready(void *ctx, uint32_t events)
{
	/* The kernel fills a request whole, and no name is longer than 255 bytes; the byte beyond ends the last one. */
	static char buffer[REQUEST_MAX + 1] __attribute__((aligned(8)));
	struct standin_proc *proc = ctx;
	const struct fuse_in_header *in = (const struct fuse_in_header *)buffer;
	ssize_t n;

	(void)events;
	while ((n = read(proc->fuse, buffer, REQUEST_MAX)) >= (ssize_t)sizeof(*in)) {
		buffer[n] = '\0';
		if (in->opcode < ARRAY_SIZE(operations) && operations[in->opcode])
			operations[in->opcode](proc, in, in + 1);
		else
			reply(proc, in->unique, -ENOSYS, NULL, 0);
	}
	/* fuse(4): ENODEV, nothing is mounted any more. */
	if (n < 0 && errno != EAGAIN && errno != ENOENT && errno != EINTR) {
		loop_remove(proc->loop, proc->fuse);
		fd_close(&proc->fuse);
	}
}

static int read_namespace(struct standin_proc *proc, struct err *err)
{
	ssize_t n = readlink("/proc/self/ns/pid", proc->namespace, sizeof(proc->namespace) - 1);

	if (n < 0)
		return err_set(err, errno, "read the name of the pid namespace");
	proc->namespace[n] = '\0';
	return 0;
}

int standin_proc_mount(struct standin_proc *proc, int target, struct err *err)
{
	auto_fd fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	char path[64], options[128];

	if (fuse < 0)
		return err_set(err, errno, "open /dev/fuse");
	if (read_namespace(proc, err) < 0)
		return -err->code;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", target);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40555,user_id=0,group_id=0,allow_other", fuse);
	if (mount("proc", path, "fuse.cella", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, options) < 0)
		return err_set(err, errno, "mount the stand-in's /proc");
	proc->fuse = fd_take(&fuse);
	return 0;
}

int standin_proc_start(struct standin_proc *proc, const char *id, struct loop *loop, struct ttrpc *agent, struct err *err)
{
	proc->id = id;
	proc->loop = loop;
	proc->agent = agent;
	return loop_add(loop, proc->fuse, EPOLLIN, requests_ready, proc, err);
}
