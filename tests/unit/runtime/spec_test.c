/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/spec.h"

#include <fcntl.h>

#include "lib/io.h"
#include "lib/json.h"
#include "tests/unit/test.h"

static char bundle[64];

/* Loads the template with the value at dotted path replaced by JSON text (NULL: deleted). */
static json_t *load_with(const char *path, const char *value, struct err *err)
{
	json_t *document = spec_template(), *at = document, *loaded;
	char *copy = strdup(path), *rest = copy, *name = strsep(&rest, ".");
	char *text;
	size_t len;
	int dir;

	while (rest) {
		at = json_object_get(at, name);
		name = strsep(&rest, ".");
	}
	if (value)
		json_object_set_new(at, name, json_loads(value, JSON_DECODE_ANY, NULL));
	else
		json_object_del(at, name);
	free(copy);
	text = json_dumps(document, 0);
	json_decref(document);
	strcpy(bundle, "/tmp/cella-spec-test.XXXXXX");
	assert_non_null(mkdtemp(bundle));
	dir = open(bundle, O_RDONLY | O_DIRECTORY);
	assert_int_equal(io_replace_file(dir, "config.json", text, strlen(text), 0644, err), 0);
	close(dir);
	free(text);
	text = NULL;
	loaded = spec_load(bundle, NULL, &text, &len, err);
	free(text);
	assert_int_equal(io_remove_tree(AT_FDCWD, bundle, &(struct err){ 0 }), 0);
	return loaded;
}

static void test_the_template_is_valid(void **state)
{
	struct err err;
	json_t *config = load_with("hostname", "\"x\"", &err);

	(void)state;
	assert_non_null(config);
	json_decref(config);
}

static void test_bad_fields_are_refused_by_name(void **state)
{
	static const struct {
		const char *path, *value, *message;
	} bad[] = {
		{ "process", NULL, "process: missing" },
		{ "process", "[]", "process: expected an object, found an array" },
		{ "process.args", "[]", "process.args: must not be empty" },
		{ "process.args", "\"sh\"", "process.args: expected an array" },
		{ "process.args", "[1]", "process.args[0]: expected a string" },
		{ "process.cwd", "\"rel\"", "process.cwd: 'rel' is not an absolute path" },
		{ "process.cwd", NULL, "process.cwd: missing" },
		{ "process.terminal", "1", "process.terminal: expected a boolean" },
		{ "process.oomScoreAdj", "2000", "process.oomScoreAdj: out of range" },
		{ "process.rlimits", "[{\"type\":\"RLIMIT_TEST\",\"soft\":1,\"hard\":1}]", "unknown limit 'RLIMIT_TEST'" },
		{ "process.rlimits", "[{\"type\":\"RLIMIT_CPU\",\"soft\":2,\"hard\":1}]", "soft limit above the hard limit" },
		{ "ociVersion", "\"one\"", "ociVersion: 'one' is not a version" },
		{ "ociVersion", "\"2.0.0\"", "ociVersion: '2.0.0' is not supported" },
		{ "root", NULL, "root: missing" },
		{ "root.path", "7", "root.path: expected a string" },
		{ "mounts", "[{\"type\":\"proc\"}]", "mounts[0].destination: missing" },
		{ "mounts", "[7]", "mounts[0]: expected an object" },
		{ "linux.namespaces", "[{\"type\":\"pid\"},{\"type\":\"pid\"},{\"type\":\"mount\"}]", "pid is given twice" },
		{ "linux.namespaces", "[{\"type\":\"warp\"}]", "unknown namespace 'warp'" },
		{ "linux.namespaces", "[]", "needs a mount namespace" },
		{ "linux.intelRdt", "{\"closID\":\"x\"}", "linux.intelRdt" },
		{ "hooks", "{\"prestart\":{}}", "hooks.prestart: expected an array" },
		{ "hooks", "{\"prestart\":[7]}", "hooks.prestart[0]: expected an object" },
		{ "hooks", "{\"poststop\":[{}]}", "hooks.poststop[0].path: missing" },
		{ "hooks", "{\"poststop\":[{\"path\":\"true\"}]}", "not an absolute path" },
		{ "hooks", "{\"poststart\":[{\"path\":\"/bin/true\",\"timeout\":0}]}", "hooks.poststart[0].timeout" },
		{ "hooks", "{\"startContainer\":[{\"path\":\"true\"}]}", "hooks.startContainer[0].path: not an absolute path" },
		{ "linux.resources.memory", "{\"limit\":\"1g\"}", "linux.resources.memory.limit: expected a number" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err err;
		json_t *config = load_with(bad[i].path, bad[i].value, &err);

		if (config || !strstr(err.msg, bad[i].message))
			fail_msg("%s = %s: %s", bad[i].path, bad[i].value, config ? "accepted" : err.msg);
	}
}

TESTS(cmocka_unit_test(test_the_template_is_valid), cmocka_unit_test(test_bad_fields_are_refused_by_name))
