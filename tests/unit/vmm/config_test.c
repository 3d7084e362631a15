/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/config.h"

#include "tests/unit/test.h"

static int parse(struct config *config, struct err *err, const char *const *args)
{
	char *argv[16];
	int argc = 0;

	while (args[argc]) {
		argv[argc] = (char *)args[argc];
		argc++;
	}
	argv[argc] = NULL;
	return config_parse(config, argc, argv, err);
}

#define PARSE(...) parse(&config, &err, (const char *const[]){ "cella-vmm", __VA_ARGS__, NULL })
#define BASE "--kernel=/dev/null", "--root=/"

static void test_options_and_defaults(void **state)
{
	struct config config;
	struct err err;

	(void)state;
	assert_int_equal(PARSE(BASE), 0);
	assert_int_equal(config.vcpus, 1);
	assert_int_equal(config.memory_mib, 128);
	assert_int_equal(config.ndisks, 0);
	assert_int_equal(PARSE(BASE, "--vcpus", "4", "--memory=512", "--rng", "--vsock=v", "--disk-ro=d=/dev/null"), 0);
	assert_int_equal(config.vcpus, 4);
	assert_true(config.rng);
	assert_string_equal(config.vsock, "v");
	assert_string_equal(config.disks[0].id, "d");
	assert_true(config.disks[0].read_only);
}

static void test_what_is_wrong_is_refused(void **state)
{
	struct config config;
	struct err err;

	(void)state;
	assert_true(PARSE("--root=/") < 0);
	assert_true(PARSE("--kernel=/dev/null") < 0);
	assert_true(PARSE(BASE, "--dance") < 0);
	assert_non_null(strstr(err.msg, "--dance"));
	assert_true(PARSE(BASE, "--vcpus=0") < 0);
	assert_true(PARSE(BASE, "--vcpus=33") < 0);
	assert_true(PARSE(BASE, "--vcpus=1x") < 0);
	assert_true(PARSE(BASE, "--vcpus") < 0);
	assert_true(PARSE(BASE, "--memory=1") < 0);
	assert_true(PARSE(BASE, "--rng=yes") < 0);
	assert_true(PARSE(BASE, "--vsock=../v") < 0);
	assert_true(PARSE(BASE, "--vsock=") < 0);
	assert_true(PARSE(BASE, "--cid=2") < 0);
	assert_true(PARSE(BASE, "--disk=nameless") < 0);
	assert_true(PARSE(BASE, "--disk=d=/nonexistent") < 0);
	assert_true(PARSE(BASE, "--disk=an-id-of-21-characters=/dev/null") < 0);
	assert_true(PARSE(BASE, "--fs=tag", "--share=s=999") < 0);
	assert_true(PARSE(BASE, "--fs=tag", "--share=s") < 0);
	assert_true(PARSE(BASE, "--kvm-fd=-1") < 0);
}

/* What a snapshot cannot have. */
static void test_snapshots(void **state)
{
	struct config config;
	struct err err;
	char save[32], restore[32];

	(void)state;
	snprintf(save, sizeof(save), "--snapshot-fd=%d", dup(0));
	assert_int_equal(PARSE(BASE, "--vsock=v", save), 0);
	assert_true(PARSE(BASE, save) < 0);
	assert_true(PARSE(BASE, "--vsock=v", "--rng", save) < 0);
	assert_true(PARSE(BASE, "--vsock=v", "--console=c", save) < 0);
	assert_true(PARSE(BASE, "--vsock=v", "--disk=d=/dev/null", save) < 0);
	assert_true(PARSE(BASE, "--vsock=v", "--net=02:00:00:00:00:01=0", save) < 0);
	snprintf(restore, sizeof(restore), "--restore-fd=%d", dup(0));
	assert_true(PARSE(BASE, "--vsock=v", save, restore) < 0);
	assert_int_equal(PARSE("--root=/", "--vsock=v", restore), 0);
	assert_int_equal(config.kernel_fd, -1);
	assert_true(PARSE("--root=/", "--vsock=v", "--disk=d=/dev/null", restore) < 0); /* no slot */
	assert_int_equal(PARSE("--root=/", "--vsock=v", "--slots=1", "--disk=d=/dev/null", restore), 0);
}

TESTS(cmocka_unit_test(test_options_and_defaults), cmocka_unit_test(test_what_is_wrong_is_refused),
      cmocka_unit_test(test_snapshots))
