/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces that a container of a pod shares with others of it. */
#include "agent/joins.h"

#include <errno.h>
#include <string.h>

#include "lib/cleanup.h"

/* The user namespace that owns the namespaces which are joined. */
struct owner {
	const struct container *container; /* NULL: it is the guest's own */
	pid_t init;
};

/* Which of them can be joined one by one; NULL for another. */
static const char *type_to_join(const char *wanted)
{
	static const char *const types[SPAWN_JOINS_MAX - 1] = { "pid", "ipc", "uts" };

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (!strcmp(types[i], wanted))
			return types[i];
	return NULL;
}

static void add(struct spawn *spawn, const char *type, pid_t init)
{
	spawn->joins[spawn->njoins].type = type;
	spawn->joins[spawn->njoins++].init = init;
}

static int join(struct spawn *spawn, struct containers *containers, const Cella__Agent__SharedNamespace *wanted,
		struct owner *owner, struct err *err)
{
	struct container *other = container_find(containers, wanted->container);
	struct process *init = other ? container_process(other, NULL) : NULL;
	const char *type = type_to_join(wanted->type);

	if (!type || spawn->njoins == SPAWN_JOINS_MAX - 1) /* the last is for the user namespace */
		return err_msg(err, EINVAL, "namespace '%s' of container %s", wanted->type, wanted->container);
	if (!init || init->pid <= 0)
		return err_msg(err, ESRCH, "linux.namespaces: container %s, whose %s namespace is to be shared, does not run",
			       wanted->container, wanted->type);
	if (spawn_wants_namespace(container_config(other), "user"))
		*owner = (struct owner){ other, init->pid };
	add(spawn, type, init->pid);
	return 0;
}

/*
 * A container that joins the user namespace of its pod has that one's ids. What its own config.json says of them is not asked:
 * engines put a placeholder there (one id), since they know it as a namespace that has its maps already.
 */
static int join_user_namespace(struct spawn *spawn, json_t *config, const struct owner *owner, struct err *err)
{
	static const char *const maps[] = { "uidMappings", "gidMappings" };
	const json_t *of_owner = json_object_get(container_config(owner->container), "linux");
	json_t *own = json_object_get(config, "linux");

	for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
		json_t *map = json_object_get(of_owner, maps[i]);

		json_object_del(own, maps[i]);
		if (map && json_object_set(own, maps[i], map) < 0)
			return err_set(err, ENOMEM, "linux.%s", maps[i]);
	}
	add(spawn, "user", owner->init);
	return 0;
}

int joins_find(struct spawn *spawn, json_t *config, struct containers *containers,
	       const Cella__Agent__CreateContainerRequest *request, struct err *err)
{
	bool joins_user_namespace = spawn_joins_namespace(config, "user");
	struct owner owner = { NULL, 0 };

	for (size_t i = 0; i < request->n_namespaces; i++)
		if (strcmp(request->namespaces[i]->type, NETWORK_TYPE) && join(spawn, containers, request->namespaces[i], &owner, err) < 0)
			return -err->code;
	if (spawn->njoins == 0)
		return 0;
	if (spawn_wants_namespace(config, "user") && !joins_user_namespace)
		return err_msg(err, ENOTSUP, "linux.namespaces: a user namespace of its own together with namespaces of a pod");
	if (!joins_user_namespace)
		return 0;
	/* The stand-ins on the host are in one user namespace: which of the pod's is meant is told by what else is joined. */
	if (!owner.container)
		return err_msg(err, ENOTSUP, "linux.namespaces: a user namespace that no container has whose namespaces are joined");
	return join_user_namespace(spawn, config, &owner, err);
}
