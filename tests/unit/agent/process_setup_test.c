/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/process_setup.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "lib/io.h"
#include "tests/unit/test.h"

static char directory[64];

static int set_up(void **state)
{
	char path[96];
	int fd;

	(void)state;
	strcpy(directory, "/tmp/cella-setup-test.XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/program", directory);
	fd = open(path, O_WRONLY | O_CREAT, 0755);
	close(fd);
	snprintf(path, sizeof(path), "%s/text", directory);
	fd = open(path, O_WRONLY | O_CREAT, 0644);
	close(fd);
	return 0;
}

static int tear_down(void **state)
{
	struct err err;

	(void)state;
	return io_remove_tree(AT_FDCWD, directory, &err);
}

/* Resolves a program with PATH set to the directory (or what env says); the result or the error's code. */
static int resolve(const char *program, const char *path, struct process_setup *setup, struct err *err)
{
	json_t *process = json_pack("{s:[s], s:[s], s:s}", "args", program, "env", path, "cwd", directory);
	int ret;

	assert_non_null(process);
	*setup = (struct process_setup){ .process = process };
	ret = process_resolve(setup, err);
	json_decref(process);
	return ret;
}

static void test_a_program_is_found_as_execvp_would(void **state)
{
	struct process_setup setup;
	char path[128], wanted[128];
	struct err err;

	(void)state;
	snprintf(path, sizeof(path), "PATH=/nonexistent:%s:/bin", directory);
	snprintf(wanted, sizeof(wanted), "%s/program", directory);
	assert_int_equal(resolve("program", path, &setup, &err), 0);
	assert_string_equal(setup.program, wanted);
	assert_int_equal(resolve(wanted, "PATH=", &setup, &err), 0);
	assert_string_equal(setup.program, wanted);
}

/* runc's words: engines look at them, and take 127 or 126 from the code. */
static void test_errors_have_runcs_words(void **state)
{
	struct process_setup setup;
	char path[128], text[128];
	struct err err;

	(void)state;
	snprintf(path, sizeof(path), "PATH=%s", directory);
	snprintf(text, sizeof(text), "%s/text", directory);
	assert_int_equal(resolve("missing", path, &setup, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "exec: \"missing\": executable file not found in $PATH"));
	assert_int_equal(resolve(text, path, &setup, &err), -EACCES);
	assert_int_equal(resolve("/no/such/file", path, &setup, &err), -ENOENT);
	assert_int_equal(resolve(directory, path, &setup, &err), -EACCES);
	assert_true(resolve("", path, &setup, &err) < 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

TESTS(T(test_a_program_is_found_as_execvp_would), T(test_errors_have_runcs_words))
