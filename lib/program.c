/* SPDX-License-Identifier: Apache-2.0 */
/* Running another program to its end. */
#include "lib/program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"

static _Noreturn void become(const char *const argv[], int errors)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(errors, 2) < 0)
		_exit(125);
	syscall(SYS_close_range, 3, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);
	execvp(argv[0], (char *const *)argv);
	dprintf(2, "%s", strerror(errno));
	_exit(127);
}

/* The first line until the other end is closed; what follows is read, so that the writer is not held up. */
static void read_words(int fd, char *words, size_t size)
{
	char rest[512];
	size_t used = 0;
	ssize_t n;

	do {
		n = used < size - 1 ? read(fd, words + used, size - 1 - used) : read(fd, rest, sizeof(rest));
		if (n > 0 && used < size - 1)
			used += (size_t)n;
	} while (n > 0 || (n < 0 && errno == EINTR));
	words[used] = '\0';
	words[strcspn(words, "\n")] = '\0';
}

int program_run(const char *const argv[], char *words, size_t size)
{
	auto_fd read_end = -1;
	int ends[2], status;
	pid_t pid;

	*words = '\0';
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	read_end = ends[0];
	pid = fork();
	if (pid == 0)
		become(argv, ends[1]);
	close(ends[1]);
	if (pid < 0)
		return -EAGAIN;
	read_words(read_end, words, size);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
