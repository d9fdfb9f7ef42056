/* SPDX-License-Identifier: MIT */
/*
 * Every probe there is in bpf/, to be opened by its name: the list is the Makefile's,
 * so that one that is new is not forgotten.
 */
#ifndef LETHE_PROBES_PROBES_H
#define LETHE_PROBES_PROBES_H

#include <stddef.h>

#include "../../bpf/hook.h"

/**
 * struct probe - a probe
 * @name: of its triple
 * @open: loads and attaches it; returns 0, or -errno and why
 * @hooks: those of it, once it is open; NULL where it is asked, and attached to nothing
 */
struct probe {
	const char *name;
	int (*open)(const char **why);
	const struct hook *(*hooks)(size_t *nr);
};

extern const struct probe probes[];
extern const size_t nr_probes;

/* Of all that are open. */
void probes_close(void);

#endif /* LETHE_PROBES_PROBES_H */
