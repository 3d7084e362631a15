/* SPDX-License-Identifier: Apache-2.0 */
/* Error values: formatting only, no output (that is log.c's job). */
#include "lib/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void append(char *msg, const char *text)
{
	size_t used = strnlen(msg, ERR_MSG_MAX - 1);
	size_t n = strnlen(text, ERR_MSG_MAX - 1 - used);

	memcpy(msg + used, text, n);
	msg[used + n] = '\0';
}

int err_set(struct err *err, int errnum, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	if (errnum) {
		append(err->msg, ": ");
		append(err->msg, strerror(errnum));
	}
	err->code = errnum ? errnum : EINVAL;
	return -err->code;
}

int err_msg(struct err *err, int errnum, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	err->code = errnum ? errnum : EINVAL;
	return -err->code;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
	char old[ERR_MSG_MAX];
	va_list ap;

	memcpy(old, err->msg, sizeof(old));
	old[sizeof(old) - 1] = '\0';
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	append(err->msg, ": ");
	append(err->msg, old);
	return -err->code;
}
