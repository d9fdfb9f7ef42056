/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Where the running kernel has its memory: what a probe needs to make a frame number
 * of a struct page, an address in the direct map of a frame number, and to know a
 * secret mapping when it sees one. Not by symbols, which many kernels keep from
 * /proc/kallsyms: learned from a page and descriptors of one's own.
 */
#ifndef LETHE_BPF_LAYOUT_H
#define LETHE_BPF_LAYOUT_H

/**
 * struct layout - what was learned
 * @vmemmap: address of the struct page of frame 0
 * @page_size: bytes of a struct page
 * @direct_map: address of frame 0 in the direct map
 * @frames: one more than the number of the last frame of RAM
 * @secretmem_aops: the address_space_operations of memfd_secret's files; 0 where
 *	there is no memfd_secret
 * @region_fops: the file_operations of a region; 0 where there is no lethe.ko
 */
struct layout {
	unsigned long long vmemmap, page_size, direct_map, frames;
	unsigned long long secretmem_aops, region_fops;
};

#ifndef __VMLINUX_H__
/* 0, or -errno; and @why (a string of its own, for a person) where it is not 0. */
int layout_learn(struct layout *layout, const char **why);
#endif

#endif /* LETHE_BPF_LAYOUT_H */
