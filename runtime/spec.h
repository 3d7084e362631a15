/* SPDX-License-Identifier: Apache-2.0 */
/* config.json: loading, checking (which field, what was expected), and the document for `cella spec`. */
#ifndef RUNTIME_SPEC_H
#define RUNTIME_SPEC_H

#include <jansson.h>
#include <stdbool.h>

#include "lib/err.h"

#define SPEC_FILE_MAX (16 << 20)

/*
 * Reads and checks <bundle>/<file> (NULL: config.json). The document (json_decref it), or NULL. ret_text (owned by the
 * caller) gets the bytes. Refuses what a VM cannot do, naming the field.
 */
json_t *spec_load(const char *bundle, const char *file, char **ret_text, size_t *ret_len, struct err *err);

/* Warns of what process objects may name and guests do not have. */
void spec_warn_of_labels(const json_t *process);

/* Checks a process object that stands at `where`. */
int spec_check_process(const json_t *process, const char *where, struct err *err) must_check;

/* Whether linux.namespaces has one of this type without a path. */
bool spec_wants_new_namespace(const json_t *config, const char *type);

/* The document that `cella spec` writes (new). */
json_t *spec_template(void);

#endif
