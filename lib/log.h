/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where errors and notes are said: stderr or a file, as text or as JSON lines (the format that podman and containerd
 * read from --log). Libraries return errors and log at most debug; programs log an error once, at the top.
 * Lines are written with a single write(2), so several processes may share a file. Thread-safe after log_init.
 */
#ifndef LIB_LOG_H
#define LIB_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/*
 * program: names the writer ("cella", "cella-vmm"), borrowed. path: file to append to, or NULL for stderr.
 * Fails only if the file cannot be opened; then stderr stays in use.
 */
int log_init(const char *program, const char *path, enum log_format format, enum log_level level,
	     struct err *err) must_check;

/* As log_init, to a descriptor that stays owned by the caller. */
void log_init_fd(const char *program, int fd, enum log_format format, enum log_level level);

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * From log_hold on, warnings are kept (4 KiB of them) until log_release writes them, or log_drop forgets them. podman
 * reads the file of --log as a single JSON object: a command that fails says one thing only, the error.
 */
void log_hold(void);
void log_release(void);
void log_drop(void);

/*
 * Per call site: at most 10 lines in 5 s, for anything that a guest can trigger. Returns whether to log now; when it
 * refuses, the site's count grows and the next allowed line may mention it.
 */
struct log_limit {
	int64_t window_start_ns;
	unsigned int count;
	unsigned int suppressed;
};
bool log_allowed(struct log_limit *limit);

#define log_warn_limited(...)                       \
	do {                                        \
		static struct log_limit limit_;     \
		if (log_allowed(&limit_))           \
			log_warn(__VA_ARGS__);      \
	} while (0)

#endif
