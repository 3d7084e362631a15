/* SPDX-License-Identifier: Apache-2.0 */
/* The input is the agent's answer about the guest's processes: their files have the form of proc(5), whatever it says. */
#include <stdlib.h>
#include <string.h>

#include "lib/ttrpc.h"
#include "runtime/process_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count(const char *text, size_t len, char c)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += text[i] == c;
	return n;
}

/* So many lines, the last one with its end, and no NUL. */
static void expect_lines(char *text, size_t len, size_t lines)
{
	if (!text || !len || text[len - 1] != '\n' || count(text, len, '\n') != lines || count(text, len, '\0') != 0)
		abort();
	free(text);
}

static void read_files(const Cella__Agent__Process *process)
{
	size_t len;
	char *text = process_files_stat(process, &len);
	const char *after_name = text ? strrchr(text, ')') : NULL;

	/* proc(5): 52 fields, of which 50 come after the name. */
	if (!after_name || count(after_name, strlen(after_name), ' ') != 50)
		abort();
	expect_lines(text, len, 1);
	text = process_files_status(process, &len);
	expect_lines(text, len, 19);
	text = process_files_cmdline(process, &len);
	if (!text || len != process->command_line.len)
		abort();
	free(text);
}

/* A list with so many elements, of what it has or zeroes. */
static void *resize(void *list, size_t *n, size_t wanted, size_t size)
{
	char *resized = realloc(list, wanted * size);

	if (!resized)
		abort();
	if (*n < wanted)
		memset(resized + *n * size, 0, (wanted - *n) * size);
	*n = wanted;
	return resized;
}

/* Most inputs would stop at the check otherwise. */
static void put_right(Cella__Agent__DescribeProcessesResponse *table)
{
	int32_t last = 0;

	for (size_t i = 0; i < table->n_processes && last < INT32_MAX - 256; i++) {
		Cella__Agent__Process *process = table->processes[i];

		last = process->pid = process->pid > last ? process->pid : last + 1;
		process->uids = resize(process->uids, &process->n_uids, 4, sizeof(*process->uids));
		process->gids = resize(process->gids, &process->n_gids, 4, sizeof(*process->gids));
		process->capabilities = resize(process->capabilities, &process->n_capabilities, 5, sizeof(*process->capabilities));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const ProtobufCMessageDescriptor *descriptor = &cella__agent__describe_processes_response__descriptor;
	Cella__Agent__DescribeProcessesResponse *table = (Cella__Agent__DescribeProcessesResponse *)ttrpc_unpack(descriptor, data, size);

	if (table && size % 2)
		put_right(table);
	if (table && process_files_check(table))
		for (size_t i = 0; i < table->n_processes; i++) {
			if (process_files_find(table, table->processes[i]->pid) != table->processes[i])
				abort();
			read_files(table->processes[i]);
		}
	if (table)
		protobuf_c_message_free_unpacked(&table->base, NULL);
	return 0;
}
