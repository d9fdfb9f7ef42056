// SPDX-License-Identifier: MIT
/*
 * Where in the XSAVE area a component lies is asked of the processor: the kernel
 * saves in the compacted form (XSAVES), in which only those that it enabled have a
 * place, one behind the other.
 */
#include <cpuid.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include <bpf/libbpf.h>

#include "../../bpf/registers.h"
#include "../selftests/registers.h"
#include "../selftests/tap.h"
#include "kernel_copies.h"
#include "needle.h"

#define COMPACTED (1ULL << 63)
#define EXTENDED_START 576
#define X87_START 32
#define SSE_START 160
#define SSE_END 416
/* sizeof(struct pt_regs), and the words that some kernels leave above it. */
#define FRAME_SIZE (21 * 8 + 16)

uint8_t copies_secret[8];

static const char *const names[NR_COMPONENTS] = {
	[COMPONENT_X87] = "x87",
	[COMPONENT_SSE] = "SSE",
	[COMPONENT_AVX] = "AVX",
	[COMPONENT_OPMASK] = "opmask",
	[COMPONENT_ZMM_HI256] = "ZMM_Hi256",
	[COMPONENT_HI16_ZMM] = "Hi16_ZMM",
};

static struct registers_probe *probe;
static struct needle needle;
static int thread;

/* How many words it holds when all is full; 0: this processor has it not. */
static unsigned int component_words(enum component component)
{
	static const unsigned int words[NR_COMPONENTS] = {
		[COMPONENT_X87] = 8,        [COMPONENT_SSE] = 32,
		[COMPONENT_AVX] = 32,       [COMPONENT_OPMASK] = 8,
		[COMPONENT_ZMM_HI256] = 64, [COMPONENT_HI16_ZMM] = 128,
	};

	if (component == COMPONENT_AVX && registers_have < HAVE_AVX)
		return 0;
	if (component > COMPONENT_AVX && registers_have < HAVE_AVX512)
		return 0;
	return words[component];
}

/* Where a component begins in an area of this layout, and its size. */
static unsigned int extended_start(uint64_t layout, unsigned int component,
				   unsigned int *size)
{
	unsigned int at = EXTENDED_START, offset, flags, d;

	for (unsigned int i = 2; i <= component; i++) {
		__cpuid_count(0xd, i, *size, offset, flags, d);
		if (!(layout & COMPACTED)) {
			at = offset;
			continue;
		}
		if (!(layout & 1ULL << i))
			continue;
		if (flags & 2)
			at = (at + 63) & ~63U;
		if (i < component)
			at += *size;
	}
	return at;
}

static enum component component_at(uint64_t layout, unsigned int offset)
{
	if (offset >= X87_START && offset < SSE_START)
		return COMPONENT_X87;
	if (offset >= SSE_START && offset < SSE_END)
		return COMPONENT_SSE;
	for (unsigned int i = COMPONENT_AVX; i <= COMPONENT_HI16_ZMM; i++) {
		unsigned int size, start;

		if (!component_words(i))
			continue;
		start = extended_start(layout, i, &size);
		if (offset >= start && offset < start + size)
			return i;
	}
	return COMPONENT_OTHER;
}

static bool is_set(const unsigned long long *bits, unsigned int word)
{
	return bits[word / REGISTERS_BITS] >> (word % REGISTERS_BITS) & 1;
}

static struct copies count(const struct registers_answer *answer)
{
	struct copies copies = { .searched = answer->area_size + answer->stack_size,
				 .running = answer->running,
				 .switches = answer->switches };

	for (unsigned int i = 0; i < answer->area_size / 8; i++) {
		if (!is_set(answer->area, i))
			continue;
		copies.area++;
		copies.component[component_at(answer->layout, 8 * i)]++;
	}
	for (unsigned int i = 0; i < answer->stack_size / 8; i++) {
		if (!is_set(answer->stack, i))
			continue;
		if (8 * i >= answer->stack_size - FRAME_SIZE)
			copies.frame++;
		else
			copies.dead++;
	}
	return copies;
}

void copies_open(void)
{
	int err;

	registers_look();
	if (getrandom(copies_secret, sizeof(copies_secret), 0) != sizeof(copies_secret) ||
	    needle_make(&needle, "word", copies_secret, sizeof(copies_secret)))
		tap_bail("no secret: %s", strerror(errno));
	/* What it could not load, it would tell in many lines. */
	libbpf_set_print(NULL);
	err = registers_probe_open(&probe);
	if (err == -EPERM)
		tap_skip_all("no right to load a BPF program");
	if (err)
		tap_bail("the probe cannot be loaded: %s", strerror(-err));
}

void copies_of(int tid)
{
	thread = tid;
}

struct copies copies_look(void)
{
	struct registers_question question = { .tid = thread };
	static struct registers_answer answer;
	int err;

	memcpy(&question.mask, needle.mask, sizeof(question.mask));
	memcpy(&question.masked, needle.masked, sizeof(question.masked));
	err = registers_probe_ask(probe, &question, &answer);
	if (err)
		tap_bail("the probe: %s", strerror(-err));
	return count(&answer);
}

void copies_close(void)
{
	registers_probe_close(probe);
}

bool copies_none(const struct copies *copies)
{
	return !copies->area && !copies->frame && !copies->dead;
}

bool copies_in_all(const struct copies *copies)
{
	for (int i = 0; i < COMPONENT_OTHER; i++) {
		if (copies->component[i] != component_words(i))
			return false;
	}
	return true;
}

struct copies copies_show(const char *when, struct copies copies)
{
	char line[128];
	int n = 0;

	for (int i = 0; i < COMPONENT_OTHER; i++) {
		if (names[i])
			n += snprintf(line + n, sizeof(line) - n, "%10u",
				      copies.component[i]);
	}
	tap_note("%-38s%s%10u%10u", when, line, copies.frame, copies.dead);
	return copies;
}

void copies_show_head(void)
{
	char line[128];
	int n = 0;

	for (int i = 0; i < COMPONENT_OTHER; i++) {
		if (names[i])
			n += snprintf(line + n, sizeof(line) - n, "%10s", names[i]);
	}
	tap_note("%-38s%s%10s%10s", "copies, by component", line, "pt_regs", "stack");
}
