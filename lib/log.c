/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines. The only mutable file-scope state of the project besides signal flags: where lines go, and when. */
#include "lib/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/io.h"

#define LINE_MAX_BYTES 4096
#define HELD_MAX_BYTES 4096
#define LIMIT_LINES 10
#define LIMIT_WINDOW_NS (5 * 1000000000LL)

static struct {
	const char *program;
	int fd;
	enum log_format format;
	enum log_level level;
} log_state = { "cella", STDERR_FILENO, LOG_FORMAT_TEXT, LOG_LEVEL_WARN };

static struct {
	bool holding;
	char lines[HELD_MAX_BYTES];
	size_t used;
} held;

static const char *const level_names[] = { "error", "warning", "info", "debug" };

void log_init_fd(const char *program, int fd, enum log_format format, enum log_level level)
{
	log_state.program = program;
	log_state.fd = fd;
	log_state.format = format;
	log_state.level = level;
}

int log_init(const char *program, const char *path, enum log_format format, enum log_level level, struct err *err)
{
	int fd = STDERR_FILENO;

	if (path) {
		fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
		if (fd < 0) {
			log_init_fd(program, STDERR_FILENO, format, level);
			return err_set(err, errno, "open log file %s", path);
		}
	}
	log_init_fd(program, fd, format, level);
	return 0;
}

/* Copies text into a JSON string body; control bytes and what is not ASCII printable becomes \u00XX byte by byte. */
static size_t escape_json(char *out, size_t size, const char *text)
{
	size_t used = 0;

	for (; *text && used + 7 < size; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\') {
			out[used++] = '\\';
			out[used++] = (char)c;
		} else if (c < 0x20 || c == 0x7f) {
			used += (size_t)snprintf(out + used, size - used, "\\u%04x", c);
		} else {
			out[used++] = (char)c;
		}
	}
	out[used] = '\0';
	return used;
}

/* There is nowhere left to report that the log itself cannot be written. */
static void write_lines(const char *lines, size_t len)
{
	if (len > 0 && write(log_state.fd, lines, len) < 0)
		return;
}

static void emit(enum log_level level, const char *fmt, va_list ap)
{
	char msg[LINE_MAX_BYTES / 2];
	char escaped[LINE_MAX_BYTES];
	char line[LINE_MAX_BYTES + 256];
	char when[IO_TIMESTAMP_MAX];
	int n;

	if (level > log_state.level)
		return;
	vsnprintf(msg, sizeof(msg), fmt, ap);
	if (log_state.format == LOG_FORMAT_JSON) {
		io_timestamp(when);
		escape_json(escaped, sizeof(escaped), msg);
		n = snprintf(line, sizeof(line), "{\"level\":\"%s\",\"msg\":\"%s\",\"time\":\"%s\"}\n",
			     level_names[level], escaped, when);
	} else if (log_state.fd == STDERR_FILENO && log_state.level < LOG_LEVEL_DEBUG) {
		n = snprintf(line, sizeof(line), "%s: %s\n", log_state.program, msg);
	} else {
		io_timestamp(when);
		escape_json(escaped, sizeof(escaped), msg);
		n = snprintf(line, sizeof(line), "time=\"%s\" level=%s program=%s[%d] msg=\"%s\"\n", when,
			     level_names[level], log_state.program, (int)getpid(), escaped);
	}
	if (n > (int)sizeof(line) - 1)
		n = (int)sizeof(line) - 1;
	if (held.holding && level == LOG_LEVEL_WARN) {
		if (held.used + (size_t)n <= sizeof(held.lines)) {
			memcpy(held.lines + held.used, line, (size_t)n);
			held.used += (size_t)n;
		}
		return;
	}
	write_lines(line, (size_t)n);
}

void log_hold(void)
{
	held.holding = true;
}

void log_release(void)
{
	held.holding = false;
	write_lines(held.lines, held.used);
	held.used = 0;
}

void log_drop(void)
{
	held.used = 0;
}

#define DEFINE_LOG(name, level)               \
	void name(const char *fmt, ...)       \
	{                                     \
		int saved = errno;            \
		va_list ap;                   \
		va_start(ap, fmt);            \
		emit(level, fmt, ap);         \
		va_end(ap);                   \
		errno = saved;                \
	}

DEFINE_LOG(log_error, LOG_LEVEL_ERROR)
DEFINE_LOG(log_warn, LOG_LEVEL_WARN)
DEFINE_LOG(log_info, LOG_LEVEL_INFO)
DEFINE_LOG(log_debug, LOG_LEVEL_DEBUG)

bool log_allowed(struct log_limit *limit)
{
	struct timespec now;
	int64_t ns;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	ns = now.tv_sec * 1000000000LL + now.tv_nsec;
	if (limit->window_start_ns == 0 || ns - limit->window_start_ns > LIMIT_WINDOW_NS) {
		unsigned int missed = limit->suppressed;

		limit->window_start_ns = ns;
		limit->count = 1;
		limit->suppressed = 0;
		if (missed)
			log_warn("%u lines like the next were left out", missed);
		return true;
	}
	if (limit->count < LIMIT_LINES) {
		limit->count++;
		return true;
	}
	limit->suppressed++;
	return false;
}
