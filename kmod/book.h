/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which blocks there are, and which of their pages are taken: see book.c.
 */
#ifndef LETHE_BOOK_H
#define LETHE_BOOK_H

#include <linux/list.h>
#include <linux/types.h>

#include "block.h"

bool lethe_book_reserve(unsigned int nr, unsigned long most);
void lethe_book_unreserve(unsigned int nr);
int lethe_book_add(struct page *page, unsigned int order);
unsigned long lethe_book_take(int node, struct page **pages, unsigned long nr);
void lethe_book_put_clean(struct page **pages, unsigned long nr);
void lethe_book_put_stale(struct page **pages, unsigned long nr);
bool lethe_book_due(unsigned long most_stale, unsigned int keep);
void lethe_book_stale(struct list_head *pages);
unsigned long lethe_book_settle(struct list_head *pages, unsigned int keep,
				unsigned long most, struct list_head *surplus);
struct page *lethe_book_pop(struct list_head *surplus, unsigned int *order);
unsigned long lethe_book_idle(void);
unsigned long lethe_book_out(void);
void lethe_book_counts(struct lethe_block_count *count);
void lethe_book_walk_dying(void (*fn)(struct page *page, unsigned int order));
void lethe_book_init(void);

#endif /* LETHE_BOOK_H */
