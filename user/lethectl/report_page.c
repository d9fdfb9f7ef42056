// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The page, as user/rules.mk makes it of report.html and its parts, inside of lethectl, so
 * that the report needs no file of ours.
 */
__asm__("	.section .rodata\n"
	"	.globl	report_page, report_page_end\n"
	"report_page:\n"
	"	.incbin	\"" REPORT "\"\n"
	"report_page_end:\n"
	"	.byte	0\n"
	"	.previous\n");
