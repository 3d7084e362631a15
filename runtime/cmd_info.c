/* SPDX-License-Identifier: Apache-2.0 */
/* cella spec, features and check: what this runtime is and where it can run. */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/capability.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/mount_options.h"
#include "runtime/command.h"
#include "runtime/guest_image.h"
#include "lib/hooks.h"
#include "runtime/host_cgroup.h"
#include "runtime/settings.h"
#include "runtime/spec.h"
#include "runtime/rootless.h"

struct spec_options {
	const char *bundle;
	bool rootless;
};

static const struct option spec_options[] = {
	{ "bundle", 'b', OPTION_STRING, offsetof(struct spec_options, bundle), "directory to write to (.)" },
	{ "rootless", 0, OPTION_FLAG, offsetof(struct spec_options, rootless), NULL },
};
static const struct command spec_command = { "spec [OPTION]...", spec_options, ARRAY_SIZE(spec_options), 0, 0 };
static const struct command features_command = { "features", NULL, 0, 0, 0 };
static const struct command check_command = { "check", NULL, 0, 0, 0 };

int cmd_spec(struct runtime *runtime, int argc, char **argv)
{
	struct spec_options options = { .bundle = "." };
	struct err err;
	int first = command_parse(&spec_command, &options, argc, argv, &err), ret = -1;
	auto_fd dir = -1, fd = -1;
	auto_free char *text = NULL;
	json_t *document;

	(void)runtime;
	if (first == COMMAND_HELP_SHOWN)
		return 0;
	if (first < 0)
		return runtime_fail(&err, 1);
	document = spec_template();
	text = document ? json_dumps(document, JSON_INDENT(4)) : NULL;
	json_decref(document);
	dir = open(options.bundle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0)
		fd = openat(dir, "config.json", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (!text || fd < 0 || (ret = io_write_all(fd, text, strlen(text))) < 0) {
		err_set(&err, !text ? ENOMEM : fd < 0 ? errno : -ret, "write %s/config.json", options.bundle);
		return runtime_fail(&err, 1);
	}
	return 0;
}

static json_t *name_list(const char *const *names, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_string(names[i]));
	return list;
}

static json_t *mount_option_names(void)
{
	json_t *list = json_array();

	for (size_t i = 0; i < mount_option_count; i++)
		json_array_append_new(list, json_string(mount_options[i].name));
	return list;
}

int cmd_features(struct runtime *runtime, int argc, char **argv)
{
	static const char *const namespaces[] = { "cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts" };
	static const char *const actions[] = { "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS",
					       "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP" };
	static const char *const operators[] = { "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE",
						 "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE" };
	static const char *const archs[] = { "SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_X86_64" };
	static const char *const flags[] = { "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
					     "SECCOMP_FILTER_FLAG_TSYNC" };
	struct err err;
	int first = command_parse(&features_command, NULL, argc, argv, &err);
	json_t *document;

	(void)runtime;
	if (first == COMMAND_HELP_SHOWN)
		return 0;
	if (first < 0)
		return runtime_fail(&err, 1);
	document = json_pack(
		"{s:s, s:s, s:o, s:o, s:{s:o, s:o, s:{s:b, s:b, s:b, s:b, s:b}, s:{s:b, s:o, s:o, s:o, s:o, s:o}, s:{s:b}, "
		"s:{s:b}, s:{s:b}, s:{s:{s:b}}, s:{s:b}}, s:{s:s}}",
		"ociVersionMin", "1.0.0", "ociVersionMax", RUNTIME_OCI_VERSION, "hooks",
		name_list(hooks_kinds, hooks_kind_count), "mountOptions", mount_option_names(),
		"linux", "namespaces", name_list(namespaces, ARRAY_SIZE(namespaces)), "capabilities",
		name_list(capability_names, capability_count), "cgroup", "v1", 0, "v2", 1, "systemd", 1, "systemdUser", 0,
		"rdma", 0, "seccomp", "enabled", 1, "actions", name_list(actions, ARRAY_SIZE(actions)), "operators",
		name_list(operators, ARRAY_SIZE(operators)), "archs", name_list(archs, ARRAY_SIZE(archs)), "knownFlags",
		name_list(flags, ARRAY_SIZE(flags)), "supportedFlags", name_list(flags, ARRAY_SIZE(flags)), "apparmor",
		"enabled", 0, "selinux", "enabled", 0, "intelRdt", "enabled", 0, "mountExtensions", "idmap", "enabled", 1,
		"netDevices", "enabled", 0, "annotations", "io.cella.version", CELLA_VERSION);
	if (!document) {
		err_set(&err, ENOMEM, "features");
		return runtime_fail(&err, 1);
	}
	json_dumpf(document, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(document);
	return 0;
}

/* One requirement: says what is so, and what to do where it is not. Returns whether it holds. */
typedef bool check_function(const struct settings *settings, struct runtime *runtime, char *out, size_t size);

static bool check_kvm(const struct settings *settings, struct runtime *runtime, char *out, size_t size)
{
	auto_fd fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int version = fd < 0 ? -1 : ioctl(fd, KVM_GET_API_VERSION, NULL);

	(void)settings;
	(void)runtime;
	if (fd < 0)
		snprintf(out, size, "cannot open /dev/kvm: %s. %s", strerror(errno),
			 errno == EACCES ? "Add the user to group kvm" : "Load kvm_intel or kvm_amd, switch virtualization on in the firmware");
	else
		snprintf(out, size, "/dev/kvm opens, API version %d", version);
	return version == 12;
}

/* /dev/kvm may open on a processor without VMX and SVM behind it; no kernel runs there. */
static bool check_virtualization(const struct settings *settings, struct runtime *runtime, char *out, size_t size)
{
	unsigned int a, b, c, d;
	bool vmx = __get_cpuid(1, &a, &b, &c, &d) && c & (1U << 5);
	bool svm = __get_cpuid(0x80000001, &a, &b, &c, &d) && c & (1U << 2);

	(void)settings;
	(void)runtime;
	if (vmx || svm)
		snprintf(out, size, "the processor has %s", vmx ? "VMX" : "SVM");
	else
		snprintf(out, size, "the processor shows neither VMX nor SVM: a guest kernel cannot run. "
				    "Use a host with hardware virtualization (in a VM: nested virtualization)");
	return vmx || svm;
}

static bool check_image(const struct settings *settings, struct runtime *runtime, char *out, size_t size)
{
	struct guest_image image;
	struct err err;
	int ret = guest_image_open(&image, settings, runtime->root, &err);

	if (ret < 0)
		snprintf(out, size, "%s. Install it again (make install)", err.msg);
	else
		snprintf(out, size, "the guest image in %s is signed", settings->guest_dir);
	if (image.kernel >= 0)
		close(image.kernel);
	if (image.initrd >= 0)
		close(image.initrd);
	return ret == 0;
}

static bool check_programs(const struct settings *settings, struct runtime *runtime, char *out, size_t size)
{
	char path[PATH_MAX + 16];

	(void)runtime;
	snprintf(path, sizeof(path), "%s/cella-vmm", settings->libexec_dir);
	if (access(path, X_OK) < 0) {
		snprintf(out, size, "cannot execute %s: %s. Install cella again", path, strerror(errno));
		return false;
	}
	snprintf(out, size, "%s is there", path);
	return true;
}

static bool check_cgroups(const struct settings *settings, struct runtime *runtime, char *out, size_t size)
{
	bool ok = host_cgroup_is_v2();

	(void)settings;
	(void)runtime;
	snprintf(out, size, ok ? "cgroup v2 is mounted on /sys/fs/cgroup" :
				 "no cgroup v2 on /sys/fs/cgroup. Boot with systemd.unified_cgroup_hierarchy=1");
	return ok;
}

static bool check_privileges(const struct settings *settings, struct runtime *runtime, char *out, size_t size)
{
	(void)settings;
	(void)runtime;
	if (geteuid() == 0)
		snprintf(out, size, rootless() ? "running as root of a user namespace" : "running as root");
	else
		snprintf(out, size, "not running as root, nor in a user namespace: directories cannot be shared. podman makes one; try podman unshare");
	return geteuid() == 0;
}

static const struct {
	const char *name;
	check_function *check;
} checks[] = {
	{ "kvm", check_kvm },	    { "virtualization", check_virtualization }, { "image", check_image },
	{ "programs", check_programs }, { "cgroup", check_cgroups },		  { "privileges", check_privileges },
};

int cmd_check(struct runtime *runtime, int argc, char **argv)
{
	struct settings settings;
	struct err err;
	int first = command_parse(&check_command, NULL, argc, argv, &err);
	bool all = true;

	if (first == COMMAND_HELP_SHOWN)
		return 0;
	if (first < 0 || settings_load(&settings, runtime->config_path, &err) < 0)
		return runtime_fail(&err, 1);
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		char text[1500];
		bool ok = checks[i].check(&settings, runtime, text, sizeof(text));

		printf("%-15s %s  %s\n", checks[i].name, ok ? "ok    " : "FAILED", text);
		all &= ok;
	}
	printf(all ? "This host can run containers.\n" : "This host cannot run containers.\n");
	return all ? 0 : 1;
}
