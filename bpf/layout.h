/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Where the running kernel has its memory: what a probe needs to make a frame number
 * of a struct page, an address in the direct map of a frame number, and to know a
 * secret mapping when it sees one. Not by symbols, which many kernels keep from
 * /proc/kallsyms: learned from pages and descriptors of one's own.
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

/*
 * Of each thing that is looked at there are two: what is learned of one has to be
 * true of the other.
 */
enum layout_file {
	LAYOUT_PIPE,   /* holds both pages */
	LAYOUT_SECRET, /* of memfd_secret, if not -1 */
	LAYOUT_SECRET_TOO,
	LAYOUT_REGION, /* of lethe.ko, if not -1 */
	LAYOUT_REGION_TOO,
	LAYOUT_FILES
};

/**
 * struct layout_question - what the probe (layout.bpf.c) looks at
 * @file: descriptors of the process that asks; -1 is none
 * @look: two addresses where eight bytes are read
 */
struct layout_question {
	int file[LAYOUT_FILES];
	int reserved;
	unsigned long long look[2];
};

/**
 * struct layout_answer - what it saw
 * @page: the struct page of both pages in the pipe
 * @page_size: bytes of a struct page
 * @inside: an address somewhere in the direct map
 * @aops: address_space_operations, by file; 0 is none
 * @fops: file_operations, likewise
 * @seen: what is at @look; 0 where nothing can be read
 */
struct layout_answer {
	unsigned long long page[2], page_size, inside;
	unsigned long long aops[LAYOUT_FILES], fops[LAYOUT_FILES];
	unsigned long long seen[2];
};

#ifndef __VMLINUX_H__
/* 0, or -errno; and @why (a string of its own, for a person) where it is not 0. */
int layout_learn(struct layout *layout, const char **why);
#endif

#endif /* LETHE_BPF_LAYOUT_H */
