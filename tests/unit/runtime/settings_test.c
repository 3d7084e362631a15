/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/settings.h"

#include "tests/unit/test.h"

static int load(const char *text, struct settings *settings, struct err *err)
{
	char path[] = "/tmp/cella-settings-test.XXXXXX";
	int fd = mkstemp(path), ret;

	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	ret = settings_load(settings, path, err);
	unlink(path);
	return ret;
}

static void test_a_missing_file_means_defaults(void **state)
{
	struct settings settings;
	struct err err;

	(void)state;
	assert_int_equal(settings_load(&settings, "/nonexistent/cella.conf", &err), 0);
	assert_int_equal(settings.memory_mib, 256);
	assert_int_equal(settings.vcpus, 1);
	assert_string_equal(settings.guest_key, "/etc/cella/guest.pub");
}

static void test_values_are_read(void **state)
{
	struct settings settings;
	struct err err;

	(void)state;
	assert_int_equal(load("# comment\n[vm]\nmemory_mib = 512\nkernel_parameters = a=b c\n[paths]\nguest_dir=/x\n", &settings, &err), 0);
	assert_int_equal(settings.memory_mib, 512);
	assert_string_equal(settings.kernel_parameters, "a=b c");
	assert_string_equal(settings.guest_dir, "/x");
}

static void test_what_is_wrong_is_named(void **state)
{
	static const struct {
		const char *text, *named;
	} bad[] = {
		{ "[vm]\nmemory = 1\n", "vm.memory" },
		{ "[nowhere]\nmemory_mib = 128\n", "nowhere.memory_mib" },
		{ "[vm]\nmemory_mib = much\n", "vm.memory_mib" },
		{ "[vm]\nmemory_mib = 1\n", "vm.memory_mib" },
		{ "[vm]\nvcpus = 33\n", "vm.vcpus" },
		{ "[vm]\nvcpus = -1\n", "vm.vcpus" },
		{ "[vm]\nvcpus =\n", "vm.vcpus" },
		{ "[vm]\nvcpus\n", "line 2" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct settings settings;
		struct err err = { 0 };

		assert_true(load(bad[i].text, &settings, &err) < 0);
		assert_non_null(strstr(err.msg, bad[i].named));
	}
}

TESTS(cmocka_unit_test(test_a_missing_file_means_defaults), cmocka_unit_test(test_values_are_read),
      cmocka_unit_test(test_what_is_wrong_is_named))
