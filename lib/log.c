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

#include "lib/cleanup.h"
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

/*
 * The bytes of the character at text, 0 if it is not to be shown as it is: controls (C0, DEL, C1: a terminal obeys them) and what is
 * not UTF-8 (RFC 3629, 4).
 */
static size_t shown_bytes(const unsigned char *text)
{
	static const struct {
		unsigned char first, last, second_min, second_max;
		size_t bytes;
	} forms[] = {
		{ 0xc2, 0xc2, 0xa0, 0xbf, 2 }, { 0xc3, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};

	if (text[0] < 0x80)
		return text[0] >= 0x20 && text[0] != 0x7f;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		size_t n = 2;

		if (text[0] < forms[i].first || text[0] > forms[i].last)
			continue;
		if (text[1] < forms[i].second_min || text[1] > forms[i].second_max)
			return 0;
		while (n < forms[i].bytes && (text[n] & 0xc0) == 0x80)
			n++;
		return n == forms[i].bytes ? n : 0;
	}
	return 0;
}

/* Names in a message may be an image's or a guest's: copies it so that it stays one line, and a terminal only shows it. */
static void escape(char *out, size_t size, const char *message, enum log_format format)
{
	const unsigned char *text = (const unsigned char *)message;
	size_t used = 0;

	while (*text && used + sizeof("\\u0000") < size) {
		size_t n = shown_bytes(text);

		if (n == 0 && format == LOG_FORMAT_JSON)
			used += (size_t)snprintf(out + used, size - used, "\\u%04x", *text < 0x80 ? *text : 0xfffd);
		else if (n == 0)
			used += (size_t)snprintf(out + used, size - used, "\\x%02x", *text);
		else if (format == LOG_FORMAT_JSON && (*text == '"' || *text == '\\'))
			out[used++] = '\\';
		memcpy(out + used, text, n);
		used += n;
		text += n ? n : 1;
	}
	out[used] = '\0';
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
		escape(escaped, sizeof(escaped), msg, LOG_FORMAT_JSON);
		n = snprintf(line, sizeof(line), "{\"level\":\"%s\",\"msg\":\"%s\",\"time\":\"%s\"}\n",
			     level_names[level], escaped, when);
	} else if (log_state.fd == STDERR_FILENO && log_state.level < LOG_LEVEL_DEBUG) {
		escape(escaped, sizeof(escaped), msg, LOG_FORMAT_TEXT);
		n = snprintf(line, sizeof(line), "%s: %s\n", log_state.program, escaped);
	} else {
		io_timestamp(when);
		escape(escaped, sizeof(escaped), msg, LOG_FORMAT_JSON); /* its value is quoted, as in JSON */
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
