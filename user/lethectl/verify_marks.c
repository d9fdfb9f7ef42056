// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Breakpoints: where sections end, and where the dynamic linker says that it has mapped
 * something, so that a library's sections are known before its constructors run. An int3
 * is put over the first byte of an instruction that does next to nothing, a nop or a
 * return, which is done here in its place: no thread is ever stepped, so that none runs
 * past a breakpoint that was lifted for another. The file is not written to: the page is
 * the process's own copy.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>

#include "verify.h"

#define INT3 0xcc
#define NOP 0x90
#define RET 0xc3
static const uint8_t endbr64[4] = { 0xf3, 0x0f, 0x1e, 0xfa };

struct marks *marks_new(void)
{
	struct marks *marks = calloc(1, sizeof(*marks));

	if (marks)
		marks->users = 1;
	return marks;
}

struct marks *marks_share(struct marks *marks)
{
	if (marks)
		marks->users++;
	return marks;
}

struct marks *marks_copy(const struct marks *marks)
{
	struct marks *copy = marks_new();

	if (!copy || !marks || !marks->nr)
		return copy;
	copy->mark = reallocarray(NULL, marks->nr, sizeof(*copy->mark));
	if (!copy->mark)
		return copy;
	memcpy(copy->mark, marks->mark, marks->nr * sizeof(*copy->mark));
	copy->nr = copy->room = marks->nr;
	copy->ends = marks->ends;
	return copy;
}

void marks_free(struct marks *marks)
{
	if (!marks || --marks->users)
		return;
	free(marks->mark);
	free(marks);
}

static bool peek(const struct tracee *tracee, uint64_t address, uint64_t *word)
{
	errno = 0;
	*word = (uint64_t)ptrace(PTRACE_PEEKTEXT, tracee->tid, (void *)address, NULL);
	return !errno;
}

/* The first byte there. */
static bool poke(const struct tracee *tracee, uint64_t address, uint8_t byte)
{
	uint64_t word;

	return peek(tracee, address, &word) &&
	       !ptrace(PTRACE_POKETEXT, tracee->tid, (void *)address,
		       (void *)((word & ~0xffULL) | byte));
}

static struct mark *find(struct marks *marks, uint64_t address)
{
	size_t i;

	for (i = 0; marks && i < marks->nr; i++)
		if (marks->mark[i].address == address)
			return &marks->mark[i];
	return NULL;
}

static void forget(struct marks *marks, struct mark *mark)
{
	marks->ends -= mark->kind == MARK_END;
	*mark = marks->mark[--marks->nr];
}

/* Can what is there be done by marks_pass()? What is run once is put back instead. */
static bool can_pass(enum mark_kind kind, uint64_t word)
{
	uint8_t first = (uint8_t)word;

	if (kind == MARK_ENTRY)
		return true;
	if (kind == MARK_END || kind == MARK_AT)
		return first == NOP;
	return first == NOP || first == RET || !memcmp(&word, endbr64, sizeof(endbr64));
}

/* @was: what the file has there. */
static bool add(struct tracee *tracee, uint64_t address, enum mark_kind kind, uint8_t was,
		const char *name)
{
	struct marks *marks = tracee->process->marks;
	struct mark *more, *mark = find(marks, address);
	uint64_t word;

	if (!marks || !peek(tracee, address, &word))
		return false;
	if (mark && (uint8_t)word == INT3)
		return true;
	/* Something else is there by now. */
	if (mark)
		forget(marks, mark);
	/* Had from a process that it was forked from. */
	if ((uint8_t)word == INT3)
		word = (word & ~0xffULL) | was;
	if (!can_pass(kind, word))
		return false;
	if (marks->nr == marks->room) {
		marks->room = marks->room ? 2 * marks->room : 8;
		more = reallocarray(marks->mark, marks->room, sizeof(*more));
		if (!more)
			return false;
		marks->mark = more;
	}
	if (!poke(tracee, address, INT3))
		return false;
	marks->mark[marks->nr++] = (struct mark){ address, kind, (uint8_t)word, name };
	marks->ends += kind == MARK_END;
	return true;
}

struct look {
	struct verify *verify;
	struct tracee *tracee;
	bool first, linker;
	uint64_t entry;
	uint8_t entry_was;
};

static void look_at(struct look *look, uint64_t start, uint64_t end, uint64_t offset,
		    const char *name, uint64_t inode)
{
	const struct noted *noted = notes_of(look->tracee->process->pid, start, end, name,
					     inode);
	size_t i;

	if (!noted)
		return;
	for (i = 0; i < noted->nr_marks; i++) {
		const struct noted_mark *mark = &noted->mark[i];

		if (mark->offset < offset || mark->offset - offset >= end - start)
			continue;
		look->verify->liblethe |= mark->kind == MARK_END;
		if (!add(look->tracee, mark->offset - offset + start, mark->kind, NOP,
			 mark->name))
			look->verify->unseen_marks++;
	}
	if (noted->linker >= offset && noted->linker - offset < end - start)
		look->linker |= add(look->tracee, noted->linker - offset + start,
				    MARK_LINKER, noted->linker_was, NULL);
	/* Of a dynamic linker that is a program itself, too. */
	if (look->first && noted->interpreted && !look->entry && noted->entry >= offset &&
	    noted->entry - offset < end - start) {
		look->entry = noted->entry - offset + start;
		look->entry_was = noted->entry_was;
		if (noted->traces)
			record_note(
				look->verify,
				"%s calls ptrace(): what is traced itself cannot be traced by it. If that is why it fails, run it without verify, and search it with lethectl scan --pid",
				look->tracee->process->name);
	}
}

void marks_look(struct verify *verify, struct tracee *tracee, bool first)
{
	struct look look = { .verify = verify, .tracee = tracee, .first = first };
	uint64_t start, end, offset, inode;
	char path[64], *line = NULL, rights[5];
	size_t room = 0;
	FILE *maps;
	int at;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/maps", (int)tracee->process->pid,
		 (int)tracee->tid);
	maps = fopen(path, "re");
	if (!maps)
		return;
	while (getline(&line, &room, maps) > 0) {
		at = 0;
		if (sscanf(line,
			   "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*x:%*x %" SCNu64
			   " %n",
			   &start, &end, rights, &offset, &inode, &at) < 5 ||
		    !inode || rights[2] != 'x' || line[at] != '/')
			continue;
		line[strcspn(line, "\n")] = '\0';
		look_at(&look, start, end, offset, line + at, inode);
	}
	free(line);
	fclose(maps);
	if (!first || !look.entry || look.linker)
		return;
	/* One that came with libc as we know it does. */
	record_note(
		verify,
		"the dynamic linker of %s does not tell what it maps: sections that ended before its main(), or in a library that it loaded later, were not seen",
		tracee->process->name);
	add(tracee, look.entry, MARK_ENTRY, look.entry_was, NULL);
}

const struct mark *marks_hit(const struct tracee *tracee)
{
	struct user_regs_struct regs;
	siginfo_t info;

	if (!tracee->process->marks || !tracee->process->marks->nr ||
	    ptrace(PTRACE_GETSIGINFO, tracee->tid, NULL, &info) < 0 ||
	    info.si_code != SI_KERNEL ||
	    ptrace(PTRACE_GETREGS, tracee->tid, NULL, &regs) < 0)
		return NULL;
	return find(tracee->process->marks, regs.rip - 1);
}

void marks_pass(struct verify *verify, struct tracee *tracee, const struct mark *mark)
{
	struct mark done = *mark;
	struct user_regs_struct regs;
	uint64_t back;

	if (ptrace(PTRACE_GETREGS, tracee->tid, NULL, &regs) < 0)
		return;
	if (done.kind == MARK_ENTRY) {
		poke(tracee, done.address, done.was);
		forget(tracee->process->marks,
		       find(tracee->process->marks, done.address));
		regs.rip = done.address;
	} else if (done.was == RET && peek(tracee, regs.rsp, &back)) {
		regs.rip = back;
		regs.rsp += 8;
	} else if (done.was == endbr64[0]) {
		regs.rip = done.address + sizeof(endbr64);
	}
	ptrace(PTRACE_SETREGS, tracee->tid, NULL, &regs);
	marks_look(verify, tracee, false);
}

void marks_remove(struct tracee *tracee)
{
	struct marks *marks = tracee->process->marks;
	uint64_t word;

	while (marks && marks->nr) {
		struct mark *mark = &marks->mark[marks->nr - 1];

		if (peek(tracee, mark->address, &word) && (uint8_t)word == INT3)
			poke(tracee, mark->address, mark->was);
		forget(marks, mark);
	}
}
