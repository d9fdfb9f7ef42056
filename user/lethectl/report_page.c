// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * report.html, as it is, inside of lethectl: so that the report needs no file of ours.
 */
__asm__("	.section .rodata\n"
	"	.globl	report_page, report_page_end\n"
	"report_page:\n"
	"	.incbin	\"user/lethectl/report.html\"\n"
	"report_page_end:\n"
	"	.byte	0\n"
	"	.previous\n");
