/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Wiping pages that the direct map no longer has: see alias.c.
 */
#ifndef LETHE_ALIAS_H
#define LETHE_ALIAS_H

struct page;

unsigned int lethe_alias_wipe(struct page **pages, unsigned long nr);
void lethe_alias_write_through(void);
void lethe_alias_flush(void);

#endif /* LETHE_ALIAS_H */
