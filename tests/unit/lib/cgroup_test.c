/* SPDX-License-Identifier: Apache-2.0 */
/* Names, and limits written into a directory that looks like a cgroup. */
#include "lib/cgroup.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/cgroup_limits.h"
#include "lib/io.h"

#define ALL (~0U)

static void names(void **state)
{
	static const struct {
		const char *path, *wanted; /* NULL: refused */
	} cases[] = {
		{ "", "/sys/fs/cgroup/id" },
		{ NULL, "/sys/fs/cgroup/id" },
		{ "/a/b", "/sys/fs/cgroup/a/b" },
		{ "a/b", "/sys/fs/cgroup/a/b" },
		{ "//a", "/sys/fs/cgroup/a" },
		{ "a..b/..c", "/sys/fs/cgroup/a..b/..c" },
		{ "machine.slice:cella:x", "/sys/fs/cgroup/machine.slice/cella-x.scope" },
		{ ":cella:x", "/sys/fs/cgroup/cella-x.scope" },
		{ "/", NULL },
		{ "..", NULL },
		{ "/../x", NULL },
		{ "a/../../x", NULL },
		{ "a/..", NULL },
		{ "../..:a:b", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cgroup cgroup;
		struct err err;
		int ret = cgroup_name(&cgroup, cases[i].path, "id", &err);

		if (!cases[i].wanted) {
			assert_true(ret < 0);
			continue;
		}
		assert_int_equal(ret, 0);
		assert_string_equal(cgroup.path, cases[i].wanted);
	}
}

static void make_file(const struct cgroup *cgroup, const char *name, const char *text)
{
	char path[PATH_MAX + 64];
	struct err err;

	snprintf(path, sizeof(path), "%s/%s", cgroup->path, name);
	assert_int_equal(io_replace_file(AT_FDCWD, path, text, strlen(text), 0600, &err), 0);
}

static int make_cgroup(void **state)
{
	static const char *const files[] = { "memory.max", "memory.low", "memory.swap.max", "pids.max", "cpu.weight", "cpuset.cpus", "io.max" };
	struct cgroup *cgroup = calloc(1, sizeof(*cgroup));

	strcpy(cgroup->path, "/tmp/cella-cgroup-test.XXXXXX");
	assert_non_null(mkdtemp(cgroup->path));
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		make_file(cgroup, files[i], "");
	make_file(cgroup, "cpu.max", "max 100000\n");
	*state = cgroup;
	return 0;
}

static int remove_cgroup(void **state)
{
	struct cgroup *cgroup = *state;
	struct err err;
	int ret = io_remove_tree(AT_FDCWD, cgroup->path, &err);

	free(cgroup);
	return ret;
}

static int apply(const struct cgroup *cgroup, const char *resources, unsigned int controllers, struct err *err)
{
	json_t *parsed = json_loads(resources, 0, NULL);
	int ret;

	assert_non_null(parsed);
	ret = cgroup_apply(cgroup, parsed, controllers, err);
	json_decref(parsed);
	return ret;
}

static void expect(const struct cgroup *cgroup, const char *file, const char *wanted)
{
	char *text = cgroup_read(cgroup, file);

	assert_non_null(text);
	/* A plain file keeps what was longer before; a cgroup's does not. */
	assert_memory_equal(text, wanted, strlen(wanted));
	free(text);
}

static void limits(void **state)
{
	struct cgroup *cgroup = *state;
	struct err err;

	assert_int_equal(apply(cgroup, "{\"memory\": {\"limit\": 1000, \"swap\": 1500, \"reservation\": 700},"
				       " \"pids\": {\"limit\": -1}, \"cpu\": {\"shares\": 1024, \"cpus\": \"0-1\"}}", ALL, &err), 0);
	expect(cgroup, "memory.max", "1000");
	expect(cgroup, "memory.swap.max", "500");
	expect(cgroup, "memory.low", "700");
	expect(cgroup, "pids.max", "max");
	expect(cgroup, "cpu.weight", "39");
	expect(cgroup, "cpuset.cpus", "0-1");
	assert_int_equal(apply(cgroup, "{\"cpu\": {\"shares\": 2}, \"pids\": {\"limit\": 9}}", CGROUP_CPU, &err), 0);
	expect(cgroup, "cpu.weight", "1");
	expect(cgroup, "pids.max", "max"); /* another controller */
	assert_true(apply(cgroup, "{\"memory\": {\"limit\": 1000, \"swap\": 900}}", ALL, &err) < 0);
	assert_non_null(strstr(err.msg, "memory.swap"));
	assert_true(apply(cgroup, "{\"unified\": {\"../memory.max\": \"1\"}}", ALL, &err) < 0);
	assert_true(apply(cgroup, "{\"unified\": {\"no.file\": \"1\"}}", ALL, &err) < 0);
}

static void quota_and_period_share_a_file(void **state)
{
	struct cgroup *cgroup = *state;
	struct err err;

	assert_int_equal(apply(cgroup, "{\"cpu\": {\"quota\": 50000}}", ALL, &err), 0);
	expect(cgroup, "cpu.max", "50000 100000");
	assert_int_equal(apply(cgroup, "{\"cpu\": {\"period\": 200000}}", ALL, &err), 0);
	expect(cgroup, "cpu.max", "50000 200000");
	assert_int_equal(apply(cgroup, "{\"cpu\": {\"quota\": -1}}", ALL, &err), 0);
	expect(cgroup, "cpu.max", "max 200000");
}

static void counters(void **state)
{
	struct cgroup *cgroup = *state;

	make_file(cgroup, "memory.events", "oom 3\noom_kill 2\n");
	make_file(cgroup, "memory.current", "4096\n");
	assert_int_equal(cgroup_counter(cgroup, "memory.events", "oom"), 3);
	assert_int_equal(cgroup_counter(cgroup, "memory.events", "oom_kill"), 2);
	assert_int_equal(cgroup_counter(cgroup, "memory.events", "oom_"), -1);
	assert_int_equal(cgroup_number(cgroup, "memory.current"), 4096);
	assert_int_equal(cgroup_number(cgroup, "no.such.file"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test_setup_teardown(limits, make_cgroup, remove_cgroup),
		cmocka_unit_test_setup_teardown(quota_and_period_share_a_file, make_cgroup, remove_cgroup),
		cmocka_unit_test_setup_teardown(counters, make_cgroup, remove_cgroup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
