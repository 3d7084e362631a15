/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes: a guest's trusted.* ones, and their names on the host, which a guest cannot use. */
#include <sys/xattr.h>

#include "tests/unit/vmm/fs_client.h"

#define ON_HOST "user.cella.trusted.t"

static char directory[] = "/tmp/cella-xattr-test.XXXXXX", path[64];
static uint64_t node;

static int set_up(void **state)
{
	(void)state;
	assert_int_equal(chdir("/proc/self/fd"), 0); /* as the jail is in */
	node = share_new_file(directory, path);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return remove_shared_file(directory, path);
}

static int set(const char *name, const char *value)
{
	struct {
		struct fuse_setxattr_in in;
		char rest[400];
	} body = { .in.size = (uint32_t)strlen(value) };
	/* Without FUSE_SETXATTR_EXT the struct ends behind its flags. */
	char *rest = (char *)&body + FUSE_COMPAT_SETXATTR_IN_SIZE;
	int n = snprintf(rest, sizeof(body.rest), "%s%c%s", name, 0, value);

	return ask(FUSE_SETXATTR, node, &body, FUSE_COMPAT_SETXATTR_IN_SIZE + (size_t)n);
}

static int get(const char *name)
{
	struct {
		struct fuse_getxattr_in in;
		char name[300];
	} body = { .in.size = 100 };

	snprintf(body.name, sizeof(body.name), "%s", name);
	return ask(FUSE_GETXATTR, node, &body, sizeof(body.in) + strlen(body.name) + 1);
}

static int list(uint32_t size)
{
	struct fuse_getxattr_in in = { .size = size };

	return ask(FUSE_LISTXATTR, node, &in, sizeof(in));
}

static int removed(const char *name)
{
	return ask(FUSE_REMOVEXATTR, node, name, strlen(name) + 1);
}

static void test_a_trusted_attribute_has_another_name_on_the_host(void **state)
{
	char value[8];

	(void)state;
	assert_int_equal(set("trusted.t", "three"), 0);
	assert_int_equal(getxattr(path, ON_HOST, value, sizeof(value)), 5);
	assert_memory_equal(value, "three", 5);
	assert_int_equal(get("trusted.t"), 0);
	assert_memory_equal(reply.bytes, "three", 5);
	assert_int_equal(removed("trusted.t"), 0);
	assert_int_equal(getxattr(path, ON_HOST, NULL, 0), -1);
	assert_int_equal(removed("trusted.t"), -ENODATA);
}

static void test_by_its_name_on_the_host_the_guest_has_none(void **state)
{
	(void)state;
	assert_int_equal(setxattr(path, ON_HOST, "x", 1, 0), 0);
	assert_int_equal(set(ON_HOST, "y"), -EPERM);
	assert_int_equal(get(ON_HOST), -ENODATA);
	assert_int_equal(removed(ON_HOST), -EPERM);
	assert_int_equal(set("user.cella.any", "y"), -EPERM);
	assert_int_equal(set("user.cella", "y"), 0);
}

static void test_the_list_has_the_names_of_the_guest(void **state)
{
	static const char wanted[] = "trusted.t\0user.u";
	size_t len = 0;

	(void)state;
	assert_int_equal(setxattr(path, ON_HOST, "x", 1, 0), 0);
	assert_int_equal(setxattr(path, "user.cella.other", "x", 1, 0), 0);
	assert_int_equal(setxattr(path, "user.u", "x", 1, 0), 0);
	assert_int_equal(list(100), 0);
	len = reply.header.len - sizeof(reply.header);
	/* The host says in which order. */
	assert_int_equal(len, sizeof(wanted));
	assert_true(!memcmp(reply.bytes, wanted, len) || !memcmp(reply.bytes, "user.u\0trusted.t", len));
	assert_int_equal(list(0), 0);
	assert_int_equal(((struct fuse_getxattr_out *)reply.bytes)->size, sizeof(wanted));
	assert_int_equal(list((uint32_t)len - 1), -ERANGE);
	assert_int_equal(list((uint32_t)len), 0);
}

static void test_a_name_that_is_too_long_for_the_host(void **state)
{
	char name[XATTR_NAME_MAX + 1] = "trusted.";

	(void)state;
	memset(name + strlen(name), 'n', sizeof(name) - 1 - strlen(name));
	assert_int_equal(set(name, "x"), -ERANGE);
	name[XATTR_NAME_MAX - (sizeof("user.cella.") - 1)] = '\0';
	assert_int_equal(set(name, "x"), 0);
	assert_int_equal(get(name), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_trusted_attribute_has_another_name_on_the_host, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_by_its_name_on_the_host_the_guest_has_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_list_has_the_names_of_the_guest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_name_that_is_too_long_for_the_host, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
