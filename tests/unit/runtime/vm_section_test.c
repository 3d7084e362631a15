/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/vm_section.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/io.h"
#include "tests/unit/test.h"

static char directory[] = "/tmp/cella-vm-section-test.XXXXXX";

static void make_file(const char *name)
{
	struct err err;

	assert_int_equal(io_replace_file(AT_FDCWD, name, "x", 1, 0600, &err), 0);
}

static int set_up(void **state)
{
	(void)state;
	strcpy(directory + strlen(directory) - 6, "XXXXXX");
	assert_non_null(mkdtemp(directory));
	assert_int_equal(chdir(directory), 0);
	for (const char *const *name = (const char *const[]){ "images", "images/one", "images/two", "images/one/deep", "outside", NULL };
	     *name; name++)
		assert_int_equal(mkdir(*name, 0700), 0);
	for (const char *const *name = (const char *const[]){ "images/one/vmlinux", "images/one/initramfs.cpio", "images/one/deep/vmlinux",
							      "images/two/initramfs.cpio", "images/vmlinux", "outside/vmlinux", NULL };
	     *name; name++)
		make_file(*name);
	assert_int_equal(symlink("../../outside/vmlinux", "images/two/vmlinux"), 0);
	return 0;
}

static int tear_down(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(chdir("/"), 0);
	return io_remove_tree(AT_FDCWD, directory, &err);
}

/* text has DIR where the test's directory is. */
static int apply(const char *text, bool starts_vm, struct settings *settings, struct err *err)
{
	char full[2048] = "";
	json_t *config;
	int ret;

	for (const char *at; (at = strstr(text, "DIR")); text = at + 3) {
		strncat(full, text, (size_t)(at - text));
		strcat(full, directory);
	}
	strcat(full, text);
	config = json_loads(full, 0, NULL);
	assert_non_null(config);
	ret = vm_section_apply(config, starts_vm, settings, err);
	json_decref(config);
	return ret;
}

static struct settings allowing(unsigned int parameters)
{
	struct settings settings = { .guest_dir = "/default", .kernel_parameters = "a=b", .spec_parameters = parameters };

	snprintf(settings.spec_images, sizeof(settings.spec_images), "%s/images", directory);
	return settings;
}

static void test_an_image_of_the_administrators_is_chosen(void **state)
{
	struct settings settings = allowing(1);
	char wanted[300];
	struct err err;

	(void)state;
	assert_int_equal(apply("{\"vm\":{\"kernel\":{\"path\":\"DIR/images/one/vmlinux\",\"initrd\":\"DIR/images/one/initramfs.cpio\","
			       "\"parameters\":[\"quiet\",\"x=1\"]}}}",
			       true, &settings, &err),
			 0);
	snprintf(wanted, sizeof(wanted), "%s/images/one", directory);
	assert_string_equal(settings.guest_dir, wanted);
	assert_string_equal(settings.kernel_parameters, "a=b quiet x=1");
}

static void test_without_the_section_nothing_changes(void **state)
{
	struct settings settings = allowing(0);
	struct err err;

	(void)state;
	assert_int_equal(apply("{}", false, &settings, &err), 0);
	assert_int_equal(apply("{\"vm\":{}}", false, &settings, &err), 0);
	assert_string_equal(settings.guest_dir, "/default");
}

static void test_nothing_else_is_followed(void **state)
{
	static const char *const hostile[] = {
		"{\"vm\":{\"kernel\":{}}}",
		"{\"vm\":{\"kernel\":{\"path\":\"vmlinux\"}}}",
		"{\"vm\":{\"kernel\":{\"path\":\"DIR/outside/vmlinux\"}}}",
		"{\"vm\":{\"kernel\":{\"path\":\"DIR/images/../outside/vmlinux\"}}}",
		"{\"vm\":{\"kernel\":{\"path\":\"DIR/images/two/vmlinux\"}}}", /* a link that leads out */
		"{\"vm\":{\"kernel\":{\"path\":\"DIR/images/one/deep/vmlinux\"}}}",
		"{\"vm\":{\"kernel\":{\"path\":\"DIR/images/vmlinux\"}}}",
		"{\"vm\":{\"kernel\":{\"path\":\"DIR/images/one/initramfs.cpio\"}}}",
		"{\"vm\":{\"kernel\":{\"path\":\"DIR/images/one/vmlinux\",\"initrd\":\"DIR/images/two/initramfs.cpio\"}}}",
		"{\"vm\":{\"kernel\":{\"path\":\"DIR/images/one/vmlinux\",\"parameters\":[\"init=/bin/sh\"]}}}",
		"{\"vm\":{\"kernel\":{\"path\":\"DIR/images/one/vmlinux\",\"other\":1}}}",
		"{\"vm\":{\"kernel\":{\"path\":\"DIR/images/one/vmlinux\"},\"image\":{\"path\":\"/x\",\"format\":\"raw\"}}}",
		"{\"vm\":{\"kernel\":{\"path\":\"DIR/images/one/vmlinux\"},\"hypervisor\":{\"path\":\"/bin/sh\"}}}",
		"{\"vm\":{\"kernel\":{\"path\":\"DIR/images/one/vmlinux\"},\"hwConfig\":{\"vcpus\":1}}}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(hostile) / sizeof(*hostile); i++) {
		struct settings settings = allowing(0);
		struct err err;

		if (apply(hostile[i], true, &settings, &err) == 0)
			fail_msg("accepted: %s", hostile[i]);
	}
}

static void test_not_in_another_ones_vm_nor_by_default(void **state)
{
	static const char good[] = "{\"vm\":{\"kernel\":{\"path\":\"DIR/images/one/vmlinux\"}}}";
	struct settings settings = allowing(0);
	struct err err;

	(void)state;
	assert_true(apply(good, false, &settings, &err) < 0);
	assert_non_null(strstr(err.msg, "joins"));
	*settings.spec_images = '\0';
	assert_true(apply(good, true, &settings, &err) < 0);
	assert_non_null(strstr(err.msg, "spec_images"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

TESTS(T(test_an_image_of_the_administrators_is_chosen), T(test_without_the_section_nothing_changes),
      T(test_nothing_else_is_followed), T(test_not_in_another_ones_vm_nor_by_default))
