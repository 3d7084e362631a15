/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plug-in of QEMU: counts the instructions of a guest kernel that boots in the emulated host, by function. Each function's
 * count is printed with and without those that it called, the dearest first. Of several boots the last one counts.
 *
 *   qemu-system-x86_64 -plugin file=boot_profile.so,map=SYSTEM.MAP,out=FILE ...
 *
 * A function is entered at the address that System.map has for it, and left when the stack is above where it was then: that
 * holds for returns of every kind, and for threads, whose stacks are kept apart. What comes with interrupts counts for what
 * they interrupt. The emulated host's own kernel is placed at random and elsewhere (boot-profile looks). QEMU's header is in
 * none of Debian's packages: what is used of the interface (docs/devel/tcg-plugins.rst, version 4) is declared here. For an
 * emulator with one thread, as -icount makes it.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT 0xffffffff81000000ULL /* where x86_64's Linux is linked to (CONFIG_PHYSICAL_START) */
#define TEXT_LEN (32ULL << 20)
#define STACK_SHIFT 14 /* THREAD_SIZE */
#define STACKS_MAX 1024
#define DEPTH_MAX 256
#define FUNCTIONS_MAX 200000
#define PRINTED 150
#define FIRST_FUNCTION "x86_64_start_kernel"

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_register;
struct byte_array { /* glib's GByteArray */
	uint8_t *data;
	unsigned int len;
};
struct register_list { /* a GArray of struct register_entry */
	struct register_entry {
		struct qemu_plugin_register *handle;
		const char *name;
		const char *feature;
	} *entries;
	unsigned int len;
};
enum { CB_READS_REGISTERS = 1 };

struct byte_array *g_byte_array_new(void);
struct byte_array *g_byte_array_set_size(struct byte_array *array, unsigned int len);
struct register_list *qemu_plugin_get_registers(void);
int qemu_plugin_read_register(struct qemu_plugin_register *handle, struct byte_array *value);
void qemu_plugin_register_vcpu_init_cb(plugin_id id, void (*callback)(plugin_id, unsigned int));
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, void (*callback)(plugin_id, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block, void (*callback)(unsigned int, void *), int flags,
					  void *data);
void qemu_plugin_register_atexit_cb(plugin_id id, void (*callback)(plugin_id, void *), void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *block);
int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv);

extern int qemu_plugin_version;
int qemu_plugin_version = 4;

struct function {
	uint64_t address;
	uint64_t self, total, calls;
	unsigned int open; /* how often it is on the path from the root while totals are summed up */
	char name[64];
};

/* A function as called by a chain of others. */
struct call {
	struct function *function;
	uint64_t instructions, calls;
	struct call *first, *next;
};

/* A straight run of instructions, as QEMU translates them. */
struct block {
	struct function *function;
	unsigned int instructions;
	bool entry, boot;
};

struct stack {
	uint64_t number;
	unsigned int depth;
	struct frame {
		uint64_t pointer;
		struct call *call;
	} frames[DEPTH_MAX];
};

static struct function *functions;
static size_t nfunctions;
static struct stack *stacks[STACKS_MAX];
static unsigned int nstacks;
static struct call root;
static struct qemu_plugin_register *stack_pointer;
static struct byte_array *value;
static const char *out;

static struct call *call_of(struct call *caller, struct function *function)
{
	struct call *call;

	for (call = caller->first; call; call = call->next)
		if (call->function == function)
			return call;
	call = calloc(1, sizeof(*call));
	if (!call)
		abort();
	*call = (struct call){ .function = function, .next = caller->first };
	caller->first = call;
	return call;
}

static struct stack *stack_of(uint64_t pointer)
{
	uint64_t number = pointer >> STACK_SHIFT;
	struct stack *stack;

	for (unsigned int i = 0; i < nstacks; i++)
		if (stacks[i]->number == number)
			return stacks[i];
	if (nstacks == STACKS_MAX)
		return stacks[0];
	stack = calloc(1, sizeof(*stack));
	if (!stack)
		abort();
	stack->number = number;
	return stacks[nstacks++] = stack;
}

/* The function that runs, with what called it, after a block of it has been come to. */
static struct call *running(const struct block *block, uint64_t pointer)
{
	struct stack *stack = stack_of(pointer);
	struct call *caller, *call;

	while (stack->depth > 0 && stack->frames[stack->depth - 1].pointer < pointer)
		stack->depth--;
	if (stack->depth > 0) {
		call = stack->frames[stack->depth - 1].call;
		if (!block->entry || (stack->frames[stack->depth - 1].pointer == pointer && call->function == block->function))
			return call;
		if (stack->frames[stack->depth - 1].pointer == pointer)
			stack->depth--; /* a tail call takes the place of its caller */
	}
	caller = stack->depth > 0 ? stack->frames[stack->depth - 1].call : &root;
	call = call_of(caller, block->function);
	call->calls++;
	if (stack->depth < DEPTH_MAX)
		stack->frames[stack->depth++] = (struct frame){ pointer, call };
	return call;
}

static void executed(unsigned int cpu, void *data)
{
	const struct block *block = data;
	uint64_t pointer;

	(void)cpu;
	if (block->boot) {
		root.first = NULL;
		nstacks = 0;
	}
	g_byte_array_set_size(value, 0);
	qemu_plugin_read_register(stack_pointer, value);
	memcpy(&pointer, value->data, sizeof(pointer));
	running(block, pointer)->instructions += block->instructions;
}

static struct function *function_at(uint64_t address)
{
	size_t low = 0, high = nfunctions;

	while (low + 1 < high) {
		size_t middle = (low + high) / 2;

		*(functions[middle].address <= address ? &low : &high) = middle;
	}
	return &functions[low];
}

static void translated(plugin_id id, struct qemu_plugin_tb *tb)
{
	uint64_t address = qemu_plugin_tb_vaddr(tb);
	struct block *block;

	(void)id;
	if (address < TEXT || address - TEXT >= TEXT_LEN)
		return;
	block = malloc(sizeof(*block));
	if (!block)
		abort();
	block->function = function_at(address);
	block->instructions = (unsigned int)qemu_plugin_tb_n_insns(tb);
	block->entry = block->function->address == address;
	block->boot = block->entry && !strcmp(block->function->name, FIRST_FUNCTION);
	qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, CB_READS_REGISTERS, block);
}

/* Sums up a function's calls; what calls itself counts once. */
static uint64_t sum(const struct call *call)
{
	struct function *function = call->function;
	uint64_t total = call->instructions;

	function->open++;
	for (const struct call *callee = call->first; callee; callee = callee->next)
		total += sum(callee);
	function->open--;
	function->self += call->instructions;
	function->calls += call->calls;
	if (function->open == 0)
		function->total += total;
	return total;
}

static int dearer(const void *left, const void *right)
{
	const struct function *a = left, *b = right;

	return a->total < b->total ? 1 : a->total > b->total ? -1 : 0;
}

static void print(plugin_id id, void *data)
{
	FILE *file = fopen(out, "w");
	uint64_t total = 0;

	(void)id;
	(void)data;
	if (!file)
		abort();
	for (const struct call *call = root.first; call; call = call->next)
		total += sum(call);
	qsort(functions, nfunctions, sizeof(*functions), dearer);
	fprintf(file, "%12s %12s %9s  %s\n", "with callees", "alone", "calls", "function");
	fprintf(file, "%12" PRIu64 "\n", total);
	for (size_t i = 0; i < nfunctions && i < PRINTED && functions[i].total > 0; i++)
		fprintf(file, "%12" PRIu64 " %12" PRIu64 " %9" PRIu64 "  %s\n", functions[i].total, functions[i].self, functions[i].calls,
			functions[i].name);
	fclose(file);
}

static void prepare(plugin_id id, unsigned int cpu)
{
	const struct register_list *registers = qemu_plugin_get_registers();

	(void)id;
	(void)cpu;
	value = g_byte_array_new();
	for (unsigned int i = 0; i < registers->len; i++)
		if (!strcmp(registers->entries[i].name, "rsp"))
			stack_pointer = registers->entries[i].handle;
}

/* System.map is in the order of addresses; of several names for one the first is taken. */
static int read_map(const char *path)
{
	FILE *file = fopen(path, "r");
	struct function function = { 0 };
	char type;

	functions = calloc(FUNCTIONS_MAX, sizeof(*functions));
	if (!file || !functions)
		return -1;
	while (nfunctions < FUNCTIONS_MAX && fscanf(file, "%" SCNx64 " %c %63s%*[^\n]", &function.address, &type, function.name) == 3)
		if (strchr("tTwW", type) && function.address >= TEXT &&
		    (nfunctions == 0 || functions[nfunctions - 1].address != function.address))
			functions[nfunctions++] = function;
	fclose(file);
	return nfunctions > 0 ? 0 : -1;
}

int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
	const char *map = NULL;

	(void)info;
	for (int i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "map=", 4))
			map = argv[i] + 4;
		else if (!strncmp(argv[i], "out=", 4))
			out = argv[i] + 4;
	}
	if (!map || !out || read_map(map) < 0) {
		fprintf(stderr, "boot_profile: map=SYSTEM.MAP,out=FILE\n");
		return -1;
	}
	out = strdup(out);
	qemu_plugin_register_vcpu_init_cb(id, prepare);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, print, NULL);
	return out ? 0 : -1;
}
