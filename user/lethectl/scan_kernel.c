// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What the kernel keeps of the registers of stopped threads, besides the registers that
 * they have: old bytes in the XSAVE area, which the processor does not overwrite where a
 * component is in its initial state, and dead frames of the kernel stack. A BPF probe says
 * where words of the table begin; of these the bytes are put together here, and go to the
 * engine. No byte that is not in the table comes out of the kernel.
 */
#include <cpuid.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "scan_table.h"
#include "words.h"

#define COMPACTED (1ULL << 63)
#define X87_END 160
#define SSE_END 416
#define LEGACY 512
#define EXTENDED 576
/* sizeof(struct pt_regs), and the words that some kernels leave above it. */
#define ENTRY (21 * 8 + 16)
/* As many components as there can be; and where something is in none of them. */
#define NONE 64

/* The components that ptrace(2) shows: all but the supervisor's. */
static uint64_t of_user(void)
{
	unsigned int a, b, c, d;

	if (!__get_cpuid_count(0xd, 0, &a, &b, &c, &d))
		return 3;
	return a | (uint64_t)d << 32;
}

/* Where the components are in an area that is laid out like the last one that was seen. */
static struct {
	uint64_t layout, user;
	unsigned int start[NONE], size[NONE];
	bool known;
} areas;

static void lay_out(uint64_t layout)
{
	unsigned int at = EXTENDED, i, offset, flags, d;

	if (areas.known && areas.layout == layout)
		return;
	memset(&areas, 0, sizeof(areas));
	areas.known = true;
	areas.layout = layout;
	areas.user = of_user();
	areas.size[0] = X87_END;
	areas.start[1] = X87_END;
	areas.size[1] = SSE_END - X87_END;
	for (i = 2; i < NONE - 1; i++) {
		if (layout & COMPACTED && !(layout >> i & 1))
			continue;
		if (!__get_cpuid_count(0xd, i, &areas.size[i], &offset, &flags, &d))
			return;
		if (layout & COMPACTED && flags & 2)
			at = (at + 63) & ~63U;
		areas.start[i] = layout & COMPACTED ? at : offset;
		at += areas.size[i];
		/* Not of the standard form: it has no place there. */
		if (!areas.start[i])
			areas.size[i] = 0;
	}
}

static unsigned int component_at(unsigned int at)
{
	unsigned int i;

	for (i = 0; i < NONE; i++)
		if (areas.size[i] && at >= areas.start[i] &&
		    at - areas.start[i] < areas.size[i])
			return i;
	return NONE;
}

/* What is none of a component, of the area and of the stack. */
enum { BETWEEN = NONE, DEAD, IN_USE, ENTERED };

static unsigned int class_of(const struct words_answer *answer, bool in_stack,
			     unsigned int at)
{
	unsigned int end = at + SCAN_MIN - 1;

	/* Of a word that begins with what just fits before a component, the rest is of it. */
	if (!in_stack)
		return component_at(component_at(at) == NONE ? end : at);
	if (end >= answer->stack_size - ENTRY)
		return ENTERED;
	return at < answer->stack_used ? DEAD : IN_USE;
}

static bool in_use(const struct words_answer *answer, unsigned int class)
{
	if (class >= NONE)
		return class == IN_USE || class == ENTERED;
	/* Who has no XSAVE has no header that says so. */
	return answer->area_size <= LEGACY || answer->saved >> class & 1;
}

/* Is it what the thread has in its registers, and ptrace(2) has shown? */
static bool is_shown(const struct scan *scan, unsigned int class)
{
	if (!scan->kernel.asked_stopped || !in_use(scan->kernel.asked, class))
		return false;
	return class == ENTERED || (class < NONE && areas.user >> class & 1);
}

/* The register that has that byte of a component; "" for none. */
static void register_at(unsigned int component, unsigned int at, char *name, size_t room)
{
	static const struct {
		unsigned int component, before, bytes, first;
		const char *name;
	} registers[] = {
		{ 0, 32, 16, 0, ", st%u" },
		{ 1, 0, 16, 0, ", xmm%u" },
		{ 2, 0, 16, 0, ", upper half of ymm%u" },
		{ 5, 0, 8, 0, ", k%u" },
		{ 6, 0, 32, 0, ", upper half of zmm%u" },
		{ 7, 0, 64, 16, ", zmm%u" },
		{ 18, 0, 1024, 0, ", tmm%u" },
	};
	size_t i;

	*name = '\0';
	at = at > areas.start[component] ? at - areas.start[component] : 0;
	for (i = 0; i < sizeof(registers) / sizeof(registers[0]); i++)
		if (registers[i].component == component && at >= registers[i].before)
			snprintf(name, room, registers[i].name,
				 registers[i].first +
					 (at - registers[i].before) / registers[i].bytes);
}

static const char *component_name(unsigned int component)
{
	static const char *const names[] = {
		"x87",      "SSE", "AVX",  "BNDREGS",  "BNDCSR",    "opmask", "ZMM_Hi256",
		"Hi16_ZMM", "PT",  "PKRU", "PASID",    "CET_U",     "CET_S",  "HDC",
		"UINTR",    "LBR", "HWP",  "XTILECFG", "XTILEDATA",
	};

	return component < sizeof(names) / sizeof(names[0]) ? names[component] :
							      "unnamed";
}

bool kernel_place(struct scan *scan, uint64_t offset, struct place *place)
{
	const struct words_answer *answer = scan->kernel.asked;
	bool in_stack = offset >= WORDS_AREA_MAX;
	unsigned int at = (unsigned int)(in_stack ? offset - WORDS_AREA_MAX : offset);
	unsigned int class = class_of(answer, in_stack, at);
	char name[32];

	if (is_shown(scan, class)) {
		scan->kernel.live++;
		return false;
	}
	place->offset = at;
	place->state = in_use(answer, class) ? "in use" : in_stack ? "dead" : "stale";
	if (class == ENTERED) {
		snprintf(place->where, sizeof(place->where), "kernel: pt_regs");
	} else if (in_stack) {
		snprintf(place->where, sizeof(place->where), "kernel: stack, %s, +%#x",
			 place->state, at);
	} else if (class == BETWEEN) {
		snprintf(place->where, sizeof(place->where),
			 "kernel: XSAVE area, of no component, +%#x", at);
	} else {
		register_at(class, at, name, sizeof(name));
		snprintf(place->where, sizeof(place->where),
			 "kernel: XSAVE area, %s component (%s)%s, +%#x",
			 component_name(class), place->state, name, at);
	}
	return true;
}

/* How many hits from this one on are of the same stretch, all of whose bytes are known. */
static size_t stretch(const struct words_answer *answer, const struct words_hit *hit,
		      size_t left, bool in_stack)
{
	unsigned int class = class_of(answer, in_stack, hit->at);
	size_t n;

	for (n = 1; n < left; n++)
		if (hit[n].at > hit[n - 1].at + SCAN_MIN ||
		    class_of(answer, in_stack, hit[n].at) != class)
			break;
	return n;
}

/* Their bytes, which are the table's, to the engine. */
static void feed(struct scan *scan, const struct words_hit *hit, size_t n, bool in_stack)
{
	uint8_t *buffer = scan->buffer + ENGINE_BEFORE;
	size_t i, j, at, length = hit[n - 1].at - hit->at + SCAN_MIN;

	for (i = 0; i < n; i++) {
		at = hit[i].at - hit->at;
		if (hit[i].id + SCAN_MIN > scan->table->length ||
		    at > SCAN_BUFFER - SCAN_MIN)
			return;
		for (j = 0; j < SCAN_MIN; j++)
			buffer[at + j] = table_byte(scan->table, hit[i].id + j);
	}
	engine_feed_alone(scan->engine,
			  NO_ADDRESS + hit->at + (in_stack ? WORDS_AREA_MAX : 0), buffer,
			  length);
	explicit_bzero(buffer, length);
}

static void feed_all(struct scan *scan, const struct words_answer *answer,
		     const struct thread *thread)
{
	struct place place = { .tid = thread->tid, .kind = "kernel" };
	size_t i, n, nr, area = answer->nr_area;

	nr = answer->nr_hits < WORDS_HITS ? answer->nr_hits : WORDS_HITS;
	area = area < nr ? area : nr;
	lay_out(answer->layout);
	scan->kernel.asked = answer;
	scan->kernel.asked_stopped = thread->stopped;
	scan->register_place = &place;
	for (i = 0; i < nr; i += n) {
		n = stretch(answer, &answer->hits[i], (i < area ? area : nr) - i,
			    i >= area);
		feed(scan, &answer->hits[i], n, i >= area);
	}
	scan->register_place = NULL;
	scan->kernel.asked = NULL;
	scan->kernel.searched += answer->area_size + answer->stack_size;
	scan->kernel.unread += nr < answer->nr_hits;
}

/* All eights that say something, in the order of the forms. */
static int add_words(struct scan *scan, size_t most)
{
	const struct table *table = scan->table;
	uint8_t bytes[SCAN_MIN];
	uint64_t word = 0;
	size_t at, n = 0;
	int err = 0, j;

	for (at = 0; !err && n < most && at + SCAN_MIN <= table->length; at++) {
		if (!(table->marks[at] & MARK_FIT))
			continue;
		for (j = 0; j < SCAN_MIN; j++)
			bytes[j] = table_byte(table, at + (unsigned int)j);
		memcpy(&word, bytes, sizeof(word));
		err = words_probe_add(scan->kernel.probe, word, (uint32_t)at);
		n++;
	}
	explicit_bzero(bytes, sizeof(bytes));
	explicit_bzero(&word, sizeof(word));
	return err ? err : words_probe_ready(scan->kernel.probe);
}

void kernel_open(struct scan *scan)
{
	struct kernel_copies *kernel = &scan->kernel;
	size_t at, nr = 0, most;
	const char *why = "";
	int err;

	if (kernel->off || kernel->tried)
		return;
	kernel->tried = true;
	for (at = 0; at < scan->table->length; at++)
		nr += !!(scan->table->marks[at] & MARK_FIT);
	most = nr < WORDS_MAX ? nr : WORDS_MAX;
	kernel->left_out = nr - most;
	err = words_probe_open(&kernel->probe, (unsigned int)most, &why);
	if (!err) {
		err = add_words(scan, most);
		why = strerror(-err);
	}
	if (!err)
		return;
	snprintf(kernel->why, sizeof(kernel->why), "%s", *why ? why : strerror(-err));
	words_probe_close(kernel->probe);
	kernel->probe = NULL;
}

int kernel_scan(struct scan *scan)
{
	struct kernel_copies *kernel = &scan->kernel;
	const struct words_answer *answer;
	size_t i;
	int err;

	kernel_open(scan);
	for (i = 0; !kernel->off && kernel->probe && i < scan->stopped.nr_threads; i++) {
		const struct thread *thread = &scan->stopped.threads[i];

		err = words_probe_ask(kernel->probe, (unsigned int)thread->tid, &answer);
		if (!err)
			feed_all(scan, answer, thread);
		else if (err == -EFAULT || (err == -ESRCH && !thread->gone))
			kernel->unread++;
		else if (err != -ESRCH)
			return err;
	}
	return 0;
}

void kernel_wipe(struct scan *scan)
{
	if (scan->kernel.probe)
		words_probe_wipe(scan->kernel.probe);
}

void kernel_close(struct scan *scan)
{
	words_probe_close(scan->kernel.probe);
	scan->kernel.probe = NULL;
}
