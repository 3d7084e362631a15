/* SPDX-License-Identifier: Apache-2.0 */
/* A process' environment. */
#include "agent/environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "lib/cleanup.h"
#include "lib/json.h"

const char *environment_find(const json_t *process, const char *name, const char *fallback)
{
	const json_t *env = json_object_get(process, "env"), *entry;
	size_t len = strlen(name), i;
	const char *found = fallback;

	json_array_foreach(env, i, entry) {
		const char *text = json_string_value(entry);

		if (text && !strncmp(text, name, len) && text[len] == '=')
			found = text + len + 1;
	}
	return found;
}

/* HOME=..., new, or NULL. */
static char *find_home(uid_t uid)
{
	auto_file passwd = fopen("/etc/passwd", "re");
	char line[1024], *home = NULL;

	while (passwd && !home && fgets(line, sizeof(line), passwd)) {
		char *rest = line, *fields[6];
		size_t f = 0;

		while (f < ARRAY_SIZE(fields) && (fields[f] = strsep(&rest, ":\n")))
			f++;
		if (f == ARRAY_SIZE(fields) && (uid_t)strtoul(fields[2], NULL, 10) == uid &&
		    asprintf(&home, "HOME=%s", *fields[5] ? fields[5] : "/") < 0)
			home = NULL;
	}
	return home;
}

/* 1: the variable has not been seen yet; 0: it has; -1: there is too little memory to tell. */
static int note_variable(json_t *seen, const char *variable)
{
	auto_free char *name = strndup(variable, strcspn(variable, "="));

	if (name && json_object_get(seen, name))
		return 0;
	return name && json_object_set_new_nocheck(seen, name, json_true()) == 0 ? 1 : -1;
}

char **environment_make(const json_t *process)
{
	const json_t *env = json_object_get(process, "env");
	size_t n = json_array_size(env), first = n;
	auto_free char **list = calloc(n + 2, sizeof(*list));
	json_t *seen = json_object();
	bool enough_memory = list && seen;

	/* From the end, where the values are that count. */
	for (size_t i = n; enough_memory && i > 0; i--) {
		char *variable = (char *)json_string_value(json_array_get(env, i - 1));
		int is_new = variable ? note_variable(seen, variable) : 0;

		if (is_new > 0)
			list[--first] = variable;
		enough_memory = is_new >= 0;
	}
	if (!enough_memory) {
		json_decref(seen);
		return NULL;
	}
	if (!json_object_get(seen, "HOME")) {
		char *home = find_home((uid_t)json_get_integer(json_object_get(process, "user"), "uid", 0));

		list[n] = home ? home : (char *)"HOME=/";
	}
	memmove(list, list + first, (n + 2 - first) * sizeof(*list));
	json_decref(seen);
	return ptr_take(&list);
}
