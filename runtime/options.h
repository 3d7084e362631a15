/* SPDX-License-Identifier: Apache-2.0 */
/* Command-line options as a table: "--name VALUE", "--name=VALUE", "-name" and "-n VALUE", as runc's callers write them. */
#ifndef RUNTIME_OPTIONS_H
#define RUNTIME_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"

#define OPTIONS_LIST_MAX 256

enum option_type { OPTION_FLAG, OPTION_STRING, OPTION_NUMBER, OPTION_LIST };

struct option_list {
	const char *values[OPTIONS_LIST_MAX];
	size_t n;
};

struct option {
	const char *name; /* without dashes */
	char letter;	  /* 0: none */
	enum option_type type;
	size_t offset;	  /* of a bool, const char *, long or struct option_list in the target */
	const char *help; /* NULL: accepted, but not shown */
};

/*
 * Parses argv[1..] up to the first argument that is no option (or "--"); fills target. Strings are argv's. Returns the
 * index of the first argument that is left, or -errno with the option named.
 */
int options_parse(const struct option *table, size_t n, void *target, int argc, char **argv, struct err *err) must_check;

void options_print(const struct option *table, size_t n);

#endif
