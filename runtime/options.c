/* SPDX-License-Identifier: Apache-2.0 */
/* Command-line options. */
#include "runtime/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option *find(const struct option *table, size_t n, const char *name, size_t len)
{
	for (size_t i = 0; i < n; i++)
		if ((len == 1 && table[i].letter && table[i].letter == *name) ||
		    (strlen(table[i].name) == len && !strncmp(table[i].name, name, len)))
			return &table[i];
	return NULL;
}

static int set(const struct option *option, void *target, const char *value, struct err *err)
{
	char *field = (char *)target + option->offset;
	char *end;

	switch (option->type) {
	case OPTION_FLAG:
		if (value && strcmp(value, "true") && strcmp(value, "false"))
			return err_msg(err, EINVAL, "option --%s takes no value but true or false", option->name);
		*(bool *)field = !value || !strcmp(value, "true");
		return 0;
	case OPTION_STRING:
		*(const char **)field = value;
		return 0;
	case OPTION_NUMBER:
		errno = 0;
		*(long *)field = strtol(value, &end, 10);
		if (errno || *end || end == value)
			return err_msg(err, EINVAL, "option --%s: '%s' is not a number", option->name, value);
		return 0;
	case OPTION_LIST: {
		struct option_list *list = (struct option_list *)field;

		if (list->n == OPTIONS_LIST_MAX)
			return err_msg(err, E2BIG, "option --%s is given more than %d times", option->name, OPTIONS_LIST_MAX);
		list->values[list->n++] = value;
		return 0;
	}
	}
	return 0;
}

int options_parse(const struct option *table, size_t n, void *target, int argc, char **argv, struct err *err)
{
	int i;

	for (i = 1; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
		const char *name = argv[i] + (argv[i][1] == '-' ? 2 : 1);
		const char *equals = strchr(name, '=');
		size_t len = equals ? (size_t)(equals - name) : strlen(name);
		const struct option *option;
		const char *value = equals ? equals + 1 : NULL;

		if (!strcmp(argv[i], "--"))
			return i + 1;
		option = find(table, n, name, len);
		if (!option)
			return err_msg(err, EINVAL, "unknown option %.*s", (int)(name - argv[i] + (int)len), argv[i]);
		if (option->type != OPTION_FLAG && !value) {
			if (++i == argc)
				return err_msg(err, EINVAL, "option --%s needs a value", option->name);
			value = argv[i];
		}
		if (set(option, target, value, err) < 0)
			return -err->code;
	}
	return i;
}

void options_print(const struct option *table, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char left[64];

		if (!table[i].help)
			continue;
		snprintf(left, sizeof(left), "%s%c%s--%s%s", table[i].letter ? "-" : "", table[i].letter ? table[i].letter : ' ',
			 table[i].letter ? ", " : "   ", table[i].name, table[i].type == OPTION_FLAG ? "" : " VALUE");
		printf("  %-30s %s\n", left, table[i].help);
	}
}
