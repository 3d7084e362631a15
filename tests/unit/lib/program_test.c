/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void run(void **state)
{
	char words[16];

	(void)state;
	assert_int_equal(program_run((const char *const[]){ "true", NULL }, words, sizeof(words)), 0);
	assert_string_equal(words, "");
	assert_int_equal(program_run((const char *const[]){ "sh", "-c", "exit 3", NULL }, words, sizeof(words)), 3);
	assert_int_equal(program_run((const char *const[]){ "sh", "-c", "kill -9 $$", NULL }, words, sizeof(words)), 137);
	assert_int_equal(program_run((const char *const[]){ "/no/such/program", NULL }, words, sizeof(words)), 127);
	assert_string_equal(words, "No such file or");
}

static void words_are_the_first_line(void **state)
{
	char words[16];

	(void)state;
	assert_int_equal(program_run((const char *const[]){ "sh", "-c", "echo out; echo one >&2; echo two >&2", NULL }, words,
				     sizeof(words)), 0);
	assert_string_equal(words, "one");
	/* More than a pipe holds: the program must not be held up. */
	assert_int_equal(program_run((const char *const[]){ "sh", "-c", "yes | head -c 200000 >&2; exit 5", NULL }, words,
				     sizeof(words)), 5);
	assert_string_equal(words, "y");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(run), cmocka_unit_test(words_are_the_first_line) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
