// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Which backend this process uses: chosen once, the best that is there, or what
 * LETHE_BACKEND and LETHE_REQUIRE say. It never falls back afterwards: a quota
 * that is used up is an error, not a reason for a lower level.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* Best first. */
static const struct backend *const backends[] = {
	&backend_kmod,
	&backend_memfd_secret,
	&backend_mlock,
};

static const struct backend *chosen;
static int choice_error;

static int parse_require(const char *text, enum lethe_level *level)
{
	*level = LETHE_LEVEL_NONE;
	if (!text)
		return 0;
	if (!strcmp(text, "locked")) {
		*level = LETHE_LEVEL_LOCKED;
		return 0;
	}
	if (!strcmp(text, "unmapped")) {
		*level = LETHE_LEVEL_UNMAPPED;
		return 0;
	}
	message("LETHE_REQUIRE=%.32s: not one of unmapped, locked", text);
	return -EINVAL;
}

static int choose_named(const char *name)
{
	size_t i;
	int err;

	for (i = 0; i < ARRAY_SIZE(backends); i++) {
		if (strcmp(backends[i]->name, name))
			continue;
		err = backends[i]->probe();
		if (err) {
			message("LETHE_BACKEND=%s: not to be had here (%s)", name,
				strerrordesc_np(-err));
			return -EOPNOTSUPP;
		}
		chosen = backends[i];
		return 0;
	}
	message("LETHE_BACKEND=%.32s: not one of kmod, memfd_secret, mlock", name);
	return -EINVAL;
}

static int choose_best(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(backends); i++) {
		if (!backends[i]->probe()) {
			chosen = backends[i];
			return 0;
		}
	}
	return -EOPNOTSUPP;
}

static void choose(void)
{
	/* A setuid program does not let its caller lower its protection. */
	const char *name = secure_getenv("LETHE_BACKEND");
	enum lethe_level required;
	int err;

	err = parse_require(secure_getenv("LETHE_REQUIRE"), &required);
	if (!err)
		err = name ? choose_named(name) : choose_best();
	/* Who named a backend, or said that less will do, knows. */
	if (!err && !name && !required && chosen->level < LETHE_LEVEL_UNMAPPED)
		message("secret memory is locked, but the kernel can read it: load lethe.ko, or boot with secretmem.enable=1 (LETHE_REQUIRE=locked: it will do)");
	if (!err && chosen->level < required) {
		message("LETHE_REQUIRE=unmapped: the best backend here is %s; load lethe.ko, or boot with secretmem.enable=1",
			chosen->name);
		chosen = NULL;
		err = -EOPNOTSUPP;
	}
	choice_error = err;
}

const struct backend *backend_get(int *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, choose);
	*err = choice_error;
	return chosen;
}

PUBLIC const char *lethe_backend(void)
{
	const struct backend *backend;
	int err;

	backend = backend_get(&err);
	if (!backend) {
		errno = -err;
		return NULL;
	}
	return backend->name;
}
