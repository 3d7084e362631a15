/* SPDX-License-Identifier: Apache-2.0 */
/* The input is a config.json, and its linux.seccomp goes through the compiler. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/io.h"
#include "runtime/seccomp.h"
#include "runtime/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char directory[] = "/tmp/cella-spec-fuzz.XXXXXX";
	static int dir = -1;
	struct seccomp_program program;
	struct err err;
	char *text = NULL;
	json_t *config;
	size_t len;

	if (dir < 0 && (!mkdtemp(directory) || (dir = open(directory, O_RDONLY | O_DIRECTORY)) < 0))
		abort();
	if (io_replace_file(dir, "config.json", data, size, 0600, &err) < 0)
		return 0;
	config = spec_load(directory, NULL, &text, &len, &err);
	if (config && seccomp_compile(json_object_get(json_object_get(config, "linux"), "seccomp"), directory, &program, &err) == 0)
		free(program.code);
	free(text);
	json_decref(config);
	return 0;
}
