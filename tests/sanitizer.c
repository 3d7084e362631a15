/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linked into programs built with SAN=address or SAN=thread: what a sanitizer finds ends the process by an invalid instruction,
 * after the report. The host's kernel logs that, whatever has become of standard error, and tests/integration/run-all looks
 * there.
 *
 * Core files have the limits that they would have without. Leaks: whoever exits leaves its memory and threads to the kernel; the
 * unit tests look for them. Addresses stay numbers, since nothing can be opened in the VMM's jail (addr2line; the programs are
 * not position independent). 8 MiB of freed memory are kept back instead of 256: it is the guest's, for the agent.
 */
#include <fcntl.h>
#include <sanitizer/common_interface_defs.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define REPORT "/report"

#define OPTIONS "disable_coredump=0:symbolize=0:color=never"

#ifdef __SANITIZE_THREAD__
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return OPTIONS ":halt_on_error=1:report_thread_leaks=0";
}
#else
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return OPTIONS ":detect_leaks=0:quarantine_size_mb=8";
}
#endif

/* The first lines of the agent's report, to the kernel's log: with the panic that follows they get into the VMM's. */
static void log_report(void)
{
	char report[2048], line[256];
	int from = open(REPORT ".1", O_RDONLY | O_CLOEXEC), to = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	ssize_t n = read(from, report, sizeof(report) - 1);
	char *next = report, *text;

	report[n > 0 ? n : 0] = '\0';
	while ((text = strsep(&next, "\n"))) {
		snprintf(line, sizeof(line), "<0>%s\n", text); /* KERN_EMERG: in spite of "quiet" */
		if (*text && write(to, line, strlen(line)) < 0)
			return; /* nothing else can be done for it */
	}
}

static bool in_guest;

static void end(void)
{
	/* Elsewhere there is standard error; and the VMM, pid 1 of its namespace, must not open a file. */
	if (in_guest)
		log_report();
	__builtin_trap();
}

__attribute__((constructor)) static void begin(void)
{
	__sanitizer_set_death_callback(end);
	in_guest = getpid() == 1 && access("/init", F_OK) == 0;
	/* A guest has no standard error. The pid comes behind that name. */
	if (in_guest)
		__sanitizer_set_report_path(REPORT);
}
