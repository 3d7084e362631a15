/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mount_options.h"

#include <sys/mount.h>

#include "tests/unit/test.h"

static void test_every_option_is_found_by_its_name(void **state)
{
	(void)state;
	assert_true(mount_option_count > 30);
	for (size_t i = 0; i < mount_option_count; i++)
		assert_ptr_equal(mount_option_find(mount_options[i].name), &mount_options[i]);
}

/* runtime-spec config.md, "Linux mount options": an option and its opposite undo each other. */
static void test_opposites(void **state)
{
	static const char *const pairs[][2] = { { "ro", "rw" },	      { "noexec", "exec" }, { "nosuid", "suid" },
						{ "nodev", "dev" },   { "rro", "rrw" },	    { "rnoexec", "rexec" },
						{ "rnosuid", "rsuid" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		const struct mount_option *set = mount_option_find(pairs[i][0]), *clear = mount_option_find(pairs[i][1]);

		assert_non_null(set);
		assert_non_null(clear);
		assert_true(set->attr_set != 0);
		assert_true(set->attr_set == clear->attr_clear);
		assert_int_equal(set->recursive, clear->recursive);
	}
}

static void test_binds_and_propagation(void **state)
{
	(void)state;
	assert_true(mount_option_find("bind")->bind);
	assert_true(mount_option_find("rbind")->bind_recursive);
	assert_true(mount_option_find("rslave")->propagation == MS_SLAVE);
	assert_true(mount_option_find("rslave")->propagation_recursive);
	assert_false(mount_option_find("slave")->propagation_recursive);
	assert_true(mount_option_find("tmpcopyup")->copy_up);
}

static void test_what_is_the_file_systems_own(void **state)
{
	(void)state;
	assert_null(mount_option_find("size=64k"));
	assert_null(mount_option_find(""));
	assert_null(mount_option_find("RO"));
}

TESTS(cmocka_unit_test(test_every_option_is_found_by_its_name), cmocka_unit_test(test_opposites),
      cmocka_unit_test(test_binds_and_propagation), cmocka_unit_test(test_what_is_the_file_systems_own))
