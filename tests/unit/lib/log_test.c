/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/log.h"

#include <jansson.h>
#include <sys/socket.h>

#include "tests/unit/test.h"

#define MESSAGE "a \x1b[2J\"b\\\n\x7f \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xc2\x9b \xc0\xaf \xed\xa0\x80 \xf5 \xe2\x82"

/* What is written as a line, without its newline. */
static char *logged(enum log_format format, const char *message)
{
	static char line[8192];
	int pair[2];
	ssize_t n;

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	log_init_fd("test", pair[0], format, LOG_LEVEL_WARN);
	log_error("%s", message);
	log_init_fd("test", STDERR_FILENO, LOG_FORMAT_TEXT, LOG_LEVEL_WARN);
	n = recv(pair[1], line, sizeof(line) - 1, MSG_DONTWAIT);
	assert_true(n > 0 && line[n - 1] == '\n');
	line[n - 1] = '\0';
	close(pair[0]);
	close(pair[1]);
	return line;
}

/* On standard error, where a terminal may be. */
static char *shown(const char *message)
{
	static char line[8192];
	int pipe_ends[2], saved = dup(STDERR_FILENO);
	ssize_t n;

	assert_int_equal(pipe(pipe_ends), 0);
	dup2(pipe_ends[1], STDERR_FILENO);
	log_error("%s", message);
	dup2(saved, STDERR_FILENO);
	n = read(pipe_ends[0], line, sizeof(line) - 1);
	assert_true(n > 0 && line[n - 1] == '\n');
	line[n - 1] = '\0';
	close(saved);
	close(pipe_ends[0]);
	close(pipe_ends[1]);
	return line;
}

static void test_json_is_valid_whatever_the_message_is(void **state)
{
	json_t *object = json_loads(logged(LOG_FORMAT_JSON, MESSAGE), 0, NULL);

	(void)state;
	assert_non_null(object);
	assert_string_equal(json_string_value(json_object_get(object, "level")), "error");
	assert_string_equal(json_string_value(json_object_get(object, "msg")),
			    "a \x1b[2J\"b\\\n\x7f \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xef\xbf\xbd\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd "
			    "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd \xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd");
	json_decref(object);
}

static void test_text_in_a_file_is_one_line(void **state)
{
	const char *line = logged(LOG_FORMAT_TEXT, "one\ntwo \"three\"");

	(void)state;
	assert_null(strchr(line, '\n'));
	assert_non_null(strstr(line, "level=error program=test["));
	assert_non_null(strstr(line, " msg=\"one\\u000atwo \\\"three\\\"\""));
}

/* Neither a second line nor anything that a terminal obeys. */
static void test_a_terminal_is_shown_characters_only(void **state)
{
	(void)state;
	assert_string_equal(shown(MESSAGE), "test: a \\x1b[2J\"b\\\\x0a\\x7f \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \\xc2\\x9b \\xc0\\xaf "
					    "\\xed\\xa0\\x80 \\xf5 \\xe2\\x82");
}

/* 2000 bytes of message are 12000 escaped: the line is cut, not overrun. */
static void test_a_long_message_is_cut(void **state)
{
	char message[2001];

	(void)state;
	memset(message, '\x1b', 2000);
	message[2000] = '\0';
	assert_in_range(strlen(logged(LOG_FORMAT_JSON, message)), 2000, 4096 + 256);
	assert_in_range(strlen(shown(message)), 2000, 4096 + 256);
}

TESTS(cmocka_unit_test(test_json_is_valid_whatever_the_message_is), cmocka_unit_test(test_text_in_a_file_is_one_line),
      cmocka_unit_test(test_a_terminal_is_shown_characters_only), cmocka_unit_test(test_a_long_message_is_cut))
