/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Out of the direct map, and back: see directmap.c.
 */
#ifndef LETHE_DIRECTMAP_H
#define LETHE_DIRECTMAP_H

#include <linux/types.h>

struct page;

int lethe_directmap_check(void);
bool lethe_directmap_aliased(struct page *page, unsigned int nr);
int lethe_directmap_remove(struct page *page, unsigned int nr);
int lethe_directmap_show_dying(struct page *page, unsigned int nr);
int lethe_directmap_restore(struct page *page, unsigned int nr);

u64 lethe_directmap_splits(void);

#endif /* LETHE_DIRECTMAP_H */
