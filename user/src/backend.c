// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Which backend this process uses: chosen once, the best that is there, or what
 * LETHE_BACKEND and LETHE_REQUIRE say. It never falls back unasked: a quota that is
 * used up is an error, not a reason for a lower level, unless LETHE_OVERFLOW says so
 * for the heap; and so is a shortage that keeps it from being chosen; the next call
 * asks again then.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* Best first. */
static const struct backend *const backends[] = {
	&backend_kmod,
	&backend_memfd_secret,
	&backend_mlock,
};

/*
 * What was chosen, or why nothing can be. No lock: two threads that choose at once
 * come to the same, and a child that was forked meanwhile finds none held.
 */
static const struct backend *chosen;
static int choice_error;
/* Once there is a choice: LETHE_OVERFLOW=locked, and the choice is better than that. */
static bool may_overflow;

/* It says nothing of what there is, and passes. */
static bool is_shortage(int err)
{
	return err == -EMFILE || err == -ENFILE || err == -ENOMEM || err == -EINTR;
}

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

static int parse_overflow(const char *text, enum lethe_level required, bool *overflow)
{
	*overflow = false;
	if (!text)
		return 0;
	if (strcmp(text, "locked")) {
		message("LETHE_OVERFLOW=%.32s: there is no other than locked", text);
		return -EINVAL;
	}
	if (required > LETHE_LEVEL_LOCKED) {
		message("LETHE_OVERFLOW=locked: but LETHE_REQUIRE=unmapped");
		return -EINVAL;
	}
	*overflow = true;
	return 0;
}

static int choose_named(const char *name, const struct backend **choice)
{
	size_t i;
	int err;

	for (i = 0; i < ARRAY_SIZE(backends); i++) {
		if (strcmp(backends[i]->name, name))
			continue;
		err = backends[i]->probe();
		if (is_shortage(err))
			return err;
		if (err) {
			message("LETHE_BACKEND=%s: not to be had here (%s)", name,
				strerrordesc_np(-err));
			return -EOPNOTSUPP;
		}
		*choice = backends[i];
		return 0;
	}
	message("LETHE_BACKEND=%.32s: not one of kmod, memfd_secret, mlock", name);
	return -EINVAL;
}

static int choose_best(const struct backend **choice)
{
	size_t i;
	int err;

	for (i = 0; i < ARRAY_SIZE(backends); i++) {
		err = backends[i]->probe();
		if (is_shortage(err))
			return err;
		if (!err) {
			*choice = backends[i];
			return 0;
		}
	}
	return -EOPNOTSUPP;
}

static int choose(void)
{
	/* A setuid program does not let its caller lower its protection. */
	const char *name = secure_getenv("LETHE_BACKEND");
	const struct backend *choice = NULL, *none = NULL;
	enum lethe_level required;
	bool overflow;
	int err;

	err = parse_require(secure_getenv("LETHE_REQUIRE"), &required);
	if (!err)
		err = parse_overflow(secure_getenv("LETHE_OVERFLOW"), required,
				     &overflow);
	if (!err)
		err = name ? choose_named(name, &choice) : choose_best(&choice);
	if (err)
		return err;
	if (choice->level < required) {
		message("LETHE_REQUIRE=unmapped: the best backend here is %s; load lethe.ko, or boot with secretmem.enable=1",
			choice->name);
		return -EOPNOTSUPP;
	}
	__atomic_store_n(&may_overflow, overflow && choice->level > LETHE_LEVEL_LOCKED,
			 __ATOMIC_RELEASE);
	if (!__atomic_compare_exchange_n(&chosen, &none, choice, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE))
		return 0;
	/* Who named a backend, or said that less will do, knows. */
	if (!name && !required && choice->level < LETHE_LEVEL_UNMAPPED)
		message("secret memory is locked, but the kernel can read it: load lethe.ko, or boot with secretmem.enable=1 (LETHE_REQUIRE=locked: it will do)");
	return 0;
}

static COLD int choose_once(void)
{
	int err = __atomic_load_n(&choice_error, __ATOMIC_RELAXED);
	struct cancellable was;

	if (err)
		return err;
	cancel_hold(&was);
	err = choose();
	cancel_release(&was);
	if (err && !is_shortage(err))
		__atomic_store_n(&choice_error, err, __ATOMIC_RELAXED);
	return err;
}

const struct backend *backend_get(int *err)
{
	const struct backend *backend = __atomic_load_n(&chosen, __ATOMIC_ACQUIRE);

	*err = 0;
	if (unlikely(!backend)) {
		*err = choose_once();
		backend = __atomic_load_n(&chosen, __ATOMIC_ACQUIRE);
	}
	return *err ? NULL : backend;
}

const struct backend *backend_overflow(void)
{
	return __atomic_load_n(&may_overflow, __ATOMIC_ACQUIRE) ? &backend_mlock : NULL;
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
