/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What failed, on what, and why: the one error type of the project (docs/errors.md).
 *
 * struct err is flat and smaller than PIPE_BUF, so that a forked child can report by one write(2) and ttrpc can carry
 * it in a status. It owns no memory and is never released. A function that takes a struct err fills it exactly when it
 * fails, and then returns the negative errno (or NULL).
 */
#ifndef LIB_ERR_H
#define LIB_ERR_H

#define ERR_MSG_MAX 1000

struct err {
	int code; /* errno value, > 0 once set */
	char msg[ERR_MSG_MAX];
};

#define must_check __attribute__((warn_unused_result))

/*
 * Sets the message, followed by ": " and strerror(errnum). errnum 0 counts as EINVAL and adds no text: for errors that
 * no system call reported. Returns -errnum.
 */
int err_set(struct err *err, int errnum, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As err_set, but the message says it all: strerror is not appended. */
int err_msg(struct err *err, int errnum, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "<fmt>: " in front of the message that is there. Returns -err->code. */
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
