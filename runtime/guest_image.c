/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's kernel and initramfs. */
#include "runtime/guest_image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/program.h"

static const char *const files[] = { "vmlinux", "initramfs.cpio", "manifest.json", "manifest.sig" };

int guest_image_add_identity(char *out, size_t size, int fd)
{
	size_t used = strlen(out);
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	snprintf(out + used, size - used, "%llu:%llu:%lld:%lld.%09ld:%lld.%09ld\n", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino, (long long)st.st_size, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
		 (long long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
	return 0;
}

/* Runs `cella-image verify`; its last line on stderr is the reason of a failure. */
static int verify(const struct settings *settings, struct err *err)
{
	char program[PATH_MAX + 32], message[512];
	const char *const argv[] = { program, "verify", settings->guest_dir, settings->guest_key, NULL };
	int status;

	snprintf(program, sizeof(program), "%s/cella-image", settings->libexec_dir);
	status = program_run(argv, message, sizeof(message));
	if (status < 0)
		return err_set(err, -status, "check the guest image");
	if (status == 127)
		return err_msg(err, ENOENT, "check the guest image: run %s: %s", program, message);
	if (status)
		return err_msg(err, EKEYREJECTED, "the guest image in %s is not to be trusted: %s", settings->guest_dir, message);
	return 0;
}

static int check(const struct settings *settings, const char *root, const char *identity, struct err *err)
{
	char path[PATH_MAX + 32];
	struct err ignored;
	auto_free char *known = NULL;

	snprintf(path, sizeof(path), "%s/.guest-image", root);
	known = io_read_file(AT_FDCWD, path, 8192, NULL, &ignored);
	if (known && !strcmp(known, identity))
		return 0;
	if (verify(settings, err) < 0)
		return -err->code;
	/* Not remembered is only slower. */
	if (io_mkdir_parents(AT_FDCWD, root, 0700, &ignored) == 0 &&
	    io_replace_file(AT_FDCWD, path, identity, strlen(identity), 0600, &ignored) < 0)
		return 0;
	return 0;
}

int guest_image_open(struct guest_image *image, const struct settings *settings, const char *root, struct err *err)
{
	image->kernel = image->initrd = -1;
	image->identity[0] = '\0';
	for (size_t i = 0; i <= ARRAY_SIZE(files); i++) {
		char path[PATH_MAX + 64];
		auto_fd fd = -1;

		if (i < ARRAY_SIZE(files))
			snprintf(path, sizeof(path), "%s/%s", settings->guest_dir, files[i]);
		else
			snprintf(path, sizeof(path), "%s", settings->guest_key);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || guest_image_add_identity(image->identity, sizeof(image->identity), fd) < 0)
			return err_set(err, errno, "guest image: open %s", path);
		if (i == 0)
			image->kernel = fd_take(&fd);
		else if (i == 1)
			image->initrd = fd_take(&fd);
	}
	return check(settings, root, image->identity, err);
}
