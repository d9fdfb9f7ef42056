/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the kernel keeps of a thread's user registers, searched for many words at once:
 * its XSAVE area and its kernel stack. Question and answer, for the probe (words.bpf.c)
 * and for who asks (words.c); no includes, so that both can have it.
 */
#ifndef LETHE_BPF_WORDS_H
#define LETHE_BPF_WORDS_H

/* Words that it can be given; one bit in sixteen of the filter, then. */
#define WORDS_MAX 65536
#define WORDS_FILTER_BITS 20
#define WORDS_HITS 8192
#define WORDS_AREA_MAX 16384
#define WORDS_STACK_MAX 32768

/**
 * struct words_question - whose, and what keeps the words from being read
 * @mask: random: in the kernel, too, a word is only with this over it
 * @key: random and odd: of the filter
 * @tid: the thread, of any process, as the process that asks numbers it
 */
struct words_question {
	unsigned long long mask;
	unsigned long long key;
	unsigned int tid;
	unsigned int reserved;
};

/* A word begins there. */
struct words_hit {
	unsigned int at;
	unsigned int id;
};

/**
 * struct words_answer - where they are
 * @found: there is such a thread, and all of it could be read
 * @running: it was on a processor just then: what follows is what the kernel saved of
 *	it before
 * @switches: how often it was taken off a processor
 * @area_size: bytes of the XSAVE area
 * @stack_size: bytes of the kernel stack
 * @stack_used: where in it what is in use begins
 * @saved: components that are in use in the area (XSTATE_BV)
 * @layout: how it is laid out (XCOMP_BV)
 * @nr_area: of @hits, those in the area, at their offset there; in the stack, at theirs,
 *	are the others
 * @nr_hits: how many there are, of which the first WORDS_HITS are in @hits, by their
 *	place
 */
struct words_answer {
	unsigned int found;
	unsigned int running;
	unsigned long long switches;
	unsigned int area_size;
	unsigned int stack_size;
	unsigned int stack_used;
	unsigned int reserved;
	unsigned long long saved;
	unsigned long long layout;
	unsigned int nr_area;
	unsigned int nr_hits;
	struct words_hit hits[WORDS_HITS];
};

#ifndef __VMLINUX_H__
struct words_probe;

/*
 * For so many words, WORDS_MAX at most. 0, or -errno: -EPERM, and so on, where BPF may
 * not be loaded, and *@why says it.
 */
int words_probe_open(struct words_probe **probe, unsigned int words, const char **why);
/* Eight bytes, as memory has them. Twice the same has the latter's @id. 0 or -errno. */
int words_probe_add(struct words_probe *probe, unsigned long long word, unsigned int id);
/* After the last. 0 or -errno. */
int words_probe_ready(struct words_probe *probe);
/*
 * 0; -ESRCH: there is no such thread, it is a kernel thread, or has ended; -EFAULT: it
 * could not be read; or another -errno. The answer stays until the next one.
 */
int words_probe_ask(struct words_probe *probe, unsigned int tid,
		    const struct words_answer **answer);
/*
 * Without the mask and the key, what is left of the words is noise. Also in a signal
 * handler; words_probe_close() does it, too.
 */
void words_probe_wipe(struct words_probe *probe);
void words_probe_close(struct words_probe *probe);
#endif

#endif /* LETHE_BPF_WORDS_H */
