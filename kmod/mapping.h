/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The mappings of one region: see mapping.c.
 */
#ifndef LETHE_MAPPING_H
#define LETHE_MAPPING_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>

struct address_space;
struct mm_struct;
struct page;
struct vm_area_struct;

/**
 * struct lethe_mappings - all mappings of a file
 * @lock: taken with an mmap_lock held, never the other way round
 * @space: where they are found; NULL before the first
 * @owner: who maps it most likely; the caller's reference
 * @mappers: who else did
 * @revoked: none is made any more
 */
struct lethe_mappings {
	struct mutex lock;	/* all below */
	struct address_space *space;
	struct mm_struct *owner;
	struct list_head mappers;
	bool revoked;
};

bool lethe_mapping_is_region(const struct vm_area_struct *vma);
void lethe_mappings_init(struct lethe_mappings *mappings,
			 struct mm_struct *owner);
int lethe_mappings_add(struct lethe_mappings *mappings,
		       struct vm_area_struct *vma, struct page **pages);
void lethe_mappings_revoke(struct lethe_mappings *mappings);
void lethe_mappings_free(struct lethe_mappings *mappings);

#endif /* LETHE_MAPPING_H */
