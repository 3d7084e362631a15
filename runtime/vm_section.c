/* SPDX-License-Identifier: Apache-2.0 */
/* A container's own choice of kernel. */
#include "runtime/vm_section.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json.h"

/* Which of the section's parts there can be, and why not the others. */
static int check_parts(const json_t *vm, struct err *err)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)vm, name, value) {
		if (!strcmp(name, "hypervisor"))
			return err_msg(err, ENOTSUP, "vm.hypervisor: cella is its own");
		if (!strcmp(name, "image"))
			return err_msg(err, ENOTSUP, "vm.image: a guest's own root is its initramfs (vm.kernel.initrd)");
		if (strcmp(name, "kernel"))
			return err_msg(err, ENOTSUP, "vm.%s: not supported", name);
	}
	json_object_foreach(json_object_get(vm, "kernel"), name, value)
		if (strcmp(name, "path") && strcmp(name, "initrd") && strcmp(name, "parameters"))
			return err_msg(err, ENOTSUP, "vm.kernel.%s: not supported", name);
	return 0;
}

/* The file's directory, if it is called name and one level below the administrator's directory, links followed. */
static int find_image(const char *path, const char *name, const char *allowed, char image[PATH_MAX])
{
	char real_allowed[PATH_MAX];
	size_t len;
	char *slash;

	if (*path != '/' || !realpath(allowed, real_allowed) || !realpath(path, image))
		return -ENOENT;
	len = strlen(real_allowed);
	slash = strrchr(image, '/');
	if (strcmp(slash + 1, name) || strncmp(image, real_allowed, len) || image[len] != '/')
		return -EPERM;
	*slash = '\0';
	return strlen(image) > len + 1 && !strchr(image + len + 1, '/') ? 0 : -EPERM;
}

static int choose_image(const json_t *kernel, struct settings *settings, struct err *err)
{
	const char *path = json_get_string(kernel, "path", ""), *initrd = json_get_string(kernel, "initrd", "");
	char image[PATH_MAX], of_initrd[PATH_MAX];

	if (!*settings->spec_images)
		return err_msg(err, EPERM, "vm: kernel and image are the administrator's choice (cella.conf, vm.spec_images)");
	if (find_image(path, "vmlinux", settings->spec_images, image) < 0)
		return err_msg(err, EPERM, "vm.kernel.path: '%s' is no IMAGE/vmlinux in %s", path, settings->spec_images);
	if (*initrd && (find_image(initrd, "initramfs.cpio", settings->spec_images, of_initrd) < 0 || strcmp(image, of_initrd)))
		return err_msg(err, EPERM, "vm.kernel.initrd: '%s' is not the initramfs.cpio beside the kernel", initrd);
	strcpy(settings->guest_dir, image);
	return 0;
}

static int add_parameters(const json_t *parameters, struct settings *settings, struct err *err)
{
	const json_t *entry;
	size_t i;

	if (json_array_size(parameters) && !settings->spec_parameters)
		return err_msg(err, EPERM, "vm.kernel.parameters: the administrator's choice (cella.conf, vm.spec_parameters)");
	json_array_foreach(parameters, i, entry) {
		const char *text = json_string_value(entry);
		size_t used = strlen(settings->kernel_parameters);

		if (!text || used + strlen(text) + 2 > sizeof(settings->kernel_parameters))
			return err_msg(err, EINVAL, "vm.kernel.parameters[%zu]: not a string, or too long", i);
		settings->kernel_parameters[used] = ' ';
		strcpy(settings->kernel_parameters + used + 1, text);
	}
	return 0;
}

int vm_section_apply(const json_t *config, bool starts_vm, struct settings *settings, struct err *err)
{
	const json_t *vm = json_object_get(config, "vm"), *kernel = json_object_get(vm, "kernel");

	if (!json_object_size(vm))
		return 0;
	if (!starts_vm)
		return err_msg(err, ENOTSUP, "vm: a container that joins a pod's VM cannot choose its kernel");
	if (check_parts(vm, err) < 0 || choose_image(kernel, settings, err) < 0)
		return -err->code;
	return add_parameters(json_object_get(kernel, "parameters"), settings, err);
}
