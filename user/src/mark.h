/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Marks that a debugger, perf, bpftrace and lethectl verify find by name: a nop of one
 * byte, and a note beside the code that says where it is (the format of <sys/sdt.h>,
 * which is not needed). At a mark nothing is read, written or handed over.
 */
#ifndef LETHE_MARK_H
#define LETHE_MARK_H

/*
 * Wherever the compiler puts it, and as often: each copy has a note of its own. The base
 * is what a tool sees by that the file was moved since it was linked; not hidden, so that
 * it stays one with that of a program that has marks too (see liblethe.a in rules.mk).
 */
#define MARK_OF(provider, name)                                                          \
	__asm__ volatile(                                                                \
		"990:	nop\n"                                                             \
		"	.pushsection .note.stapsdt,\"\",\"note\"\n"                            \
		"	.balign 4\n"                                                           \
		"	.4byte 992f - 991f, 994f - 993f, 3\n"                                  \
		"991:	.asciz \"stapsdt\"\n"                                              \
		"992:	.balign 4\n"                                                       \
		"993:	.8byte 990b, _.stapsdt.base, 0\n"                                  \
		"	.asciz \"" provider "\"\n"                                       \
		"	.asciz \"" name "\"\n"                                           \
		"	.asciz \"\"\n"                                                         \
		"994:	.balign 4\n"                                                       \
		"	.popsection\n"                                                         \
		"	.ifndef _.stapsdt.base\n"                                              \
		"	.pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n" \
		"	.weak _.stapsdt.base\n"                                                \
		"_.stapsdt.base: .space 1\n"                                             \
		"	.size _.stapsdt.base, 1\n"                                             \
		"	.popsection\n"                                                         \
		"	.endif\n" ::                                                     \
			: "memory")

#define MARK(name) MARK_OF("lethe", name)

#endif /* LETHE_MARK_H */
