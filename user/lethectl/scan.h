/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * lethectl scan: what its files know of each other.
 *
 *	scan_secret.c	the secret, read and judged
 *	scan_forms.c	what it looks like elsewhere, into one table
 *	scan_cipher.c	the same, where a cipher or a hash has made it longer
 *	scan_table.c	that table, in which no byte of it stands plainly
 *	scan_filter.c	bytes in, places to be looked at out: nearly none
 *	scan_engine.c	bytes in, runs out
 *	scan_stop.c	a process, stopped and let go
 *	scan_maps.c	what is mapped there
 *	scan_memory.c	all of it, to the engine
 *	scan_registers.c	the same of registers
 *	scan_kernel.c	what the kernel keeps of those besides
 *	scan_place.c	where an address lies
 *	scan_symbol.c	the same, in the file that is mapped there
 *	scan_file.c	a file, instead of a process
 *	scan_options.c	what verbs that search read alike on the command line
 *	scan_session.c	one secret, held against one process after the other
 *	scan_report.c	what was found, for a person and for programs
 */
#ifndef LETHECTL_SCAN_H
#define LETHECTL_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A shorter run is met by chance; and more makes a table that is not kept bounded. */
#define SCAN_MIN 8
#define SCAN_MAX (16 * 1024)

/* Of --forms, in this order; where two forms are the same bytes, the first has them. */
enum form {
	FORM_PLAIN,
	FORM_WORDS,
	FORM_HEX,
	FORM_BASE64,
	FORM_UTF16,
	FORM_LIMBS,
	FORM_AES,
	FORM_SHA,
	FORM_CHACHA,
	NR_FORMS,
};

extern const char *const form_names[NR_FORMS];

/**
 * struct pattern - one thing that the secret can look like
 * @what: in words: "hex, with colons"
 * @start, @length: its bytes, in the table
 * @need: a run of fewer is none
 * @upon, @per, @left_over: @per of its bytes say as much as @upon of the secret; those
 *	that are left over from a run at its ends
 * @whole: a run of as many is the whole secret, or all that is made of it
 * @origin, @end: of the run that was met last
 */
struct pattern {
	enum form form;
	char what[56];
	uint32_t start, length, need, whole;
	uint8_t upon, per, left_over;
	uint64_t origin, end;
};

/* scan_table.c */
struct table;

/* For secrets of @length, in runs of @minimum. NULL and errno. */
struct table *table_new(size_t length, size_t minimum);
/* Wipes it; also in a signal handler. */
void table_wipe(struct table *table);
void table_free(struct table *table);
/**
 * table_add() - one more pattern
 * @pattern: without start
 * @bytes: pattern->length of them
 * @core, @core_length: what in them is the secret's: a run holds pattern->need of these
 *
 * Return: 0; -ENOSPC. What is already there is not added, nor what has no eight bytes
 * that would not be met by chance.
 */
int table_add(struct table *table, const struct pattern *pattern, const uint8_t *bytes,
	      size_t core, size_t core_length);
/* After the last. 0 or -ENOMEM. */
int table_finish(struct table *table);
size_t table_minimum(const struct table *table);
size_t table_patterns(const struct table *table);
size_t table_windows(const struct table *table);
/* Are these eight bytes none that are met by chance? */
bool window_fit(const uint8_t *bytes);

/* scan_secret.c: pages that are locked and in no core dump. NULL and errno. */
void *locked_new(size_t length);
void locked_free(void *pages, size_t length);
/* Whether it can be searched for; or in @why what is wrong. */
bool secret_fit(const uint8_t *secret, size_t length, size_t minimum, char *why,
		size_t room);
/*
 * Reads the secret from @fd to its end, without the newline that ends a text. Its length;
 * or -errno, and in @why what is wrong. @secret is from locked_new(), of SCAN_MAX + 1
 * bytes.
 */
ssize_t secret_read(int fd, uint8_t *secret, size_t minimum, char *why, size_t room);

/* scan_forms.c, scan_cipher.c: into @table what the @wanted forms make of it. 0 or -errno. */
int forms_add(struct table *table, unsigned int wanted, const uint8_t *secret,
	      size_t length);
int cipher_forms_add(struct table *table, unsigned int wanted, const uint8_t *secret,
		     size_t length);
/* Each word of so many bytes the other way round. */
void swap_words(uint8_t *to, const uint8_t *from, size_t length, size_t word);

/* scan_engine.c */
struct engine;

/* A run of @pattern's bytes from @offset on. */
struct run {
	const struct pattern *pattern;
	uint64_t address;
	uint32_t offset, length;
};

typedef void (*engine_found)(void *arg, const struct run *run);
/* What stands at @address outside of what was fed last; -1: nobody knows. */
typedef int (*engine_peek)(void *arg, uint64_t address);

struct engine *engine_new(struct table *table, engine_found found, engine_peek peek,
			  void *arg);
void engine_free(struct engine *engine);
/* Room in front of what is fed, which the engine writes to, and after it. */
#define ENGINE_BEFORE 64
#define ENGINE_AFTER 64
/*
 * @bytes of memory at @address, which is a multiple of four, and goes on where the last
 * ended or is the beginning of something else. Wherever it ends, runs do not.
 */
void engine_feed(struct engine *engine, uint64_t address, uint8_t *bytes, size_t length);
/* Something by itself: a register. */
void engine_feed_alone(struct engine *engine, uint64_t address, uint8_t *bytes,
		       size_t length);
/* All that was found is told. */
void engine_flush(struct engine *engine);
uint64_t engine_bytes(const struct engine *engine);

/* scan_stop.c */
struct thread {
	pid_t tid;
	int signal; /* taken from it as it was stopped; given back */
	bool stopped, gone;
	uint64_t stack_pointer;
};

struct stopped {
	pid_t pid, alive; /* a thread that has all of it, as the first may not any more */
	struct thread *threads;
	size_t nr_threads, room;
	size_t not_stopped;       /* no register of these can be read */
	unsigned long long since; /* in nanoseconds, as CLOCK_MONOTONIC has it */
};

/*
 * Stops all threads of @pid. 0; or -errno and in @why a sentence. stopped_let_go()
 * either way; and if nobody is left to call that, the kernel does it.
 */
int stop_process(struct stopped *stopped, pid_t pid, char *why, size_t room);
/* Is it still there, to be read? */
bool process_lives(const struct stopped *stopped);
void stopped_let_go(struct stopped *stopped);
unsigned long long now_ns(void);

/* scan_maps.c */
enum kind {
	KIND_ANONYMOUS,
	KIND_FILE,
	KIND_HEAP,
	KIND_STACK,
	KIND_KERNEL, /* vdso, vvar: not the process's, which cannot write there */
	KIND_SECRET, /* the kernel itself does not read it for others */
	KIND_DEVICE,
};

/*
 * @io: of a device, which is not even read; @device: that, or frames that are no pages
 * @huge: of hugetlbfs, where reading what is not there would take a page for it
 * @faults: what is not there is the process's to bring (userfaultfd), and it is stopped
 * @file: the map before it, of the file whose .bss this may be; SIZE_MAX: none
 */
struct map {
	uint64_t start, end, offset;
	uint64_t inode;
	char rights[5];
	bool io, device, huge, faults, populated;
	enum kind kind;
	uint64_t searched, refused;
	uint64_t refused_at;
	int refused_why;
	size_t file;
	char *name;
};

struct maps {
	struct map *map;
	size_t nr;
};

/* Of a stopped process. 0 or -errno; maps_free() either way. */
int maps_read(struct maps *maps, pid_t pid, pid_t tid);
void maps_free(struct maps *maps);
struct map *maps_find(const struct maps *maps, uint64_t address);

/* scan_place.c: where the kernel put what a program is started with. */
struct start_layout {
	uint64_t arguments, arguments_end, environment, environment_end;
	uint64_t auxv, auxv_end;
};

/**
 * struct place - where something was found
 * @address: of its first byte; 0 for what has none
 * @map: NULL for what is in none
 * @tid: whose registers, or name, or stack; else 0
 * @where: "[heap] + 0x2a0", "xmm3", "the environment, variable TOKEN"
 * @mapping, @symbol: of a file
 * @offset: in @symbol, or else in the map
 */
struct place {
	uint64_t address, offset;
	const struct map *map;
	pid_t tid;
	/* "memory", "register", "thread name", "auxiliary vector", "kernel" */
	char kind[24];
	/* In the kernel: "stale", "dead", "in use"; else NULL. */
	const char *state;
	char where[256];
	char symbol[128];
};

struct scan;

void layout_read(struct scan *scan);
/* In memory. */
void place_find(struct scan *scan, uint64_t address, struct place *place);
/* scan_symbol.c: false if it lies in none. */
bool symbol_find(const struct scan *scan, const struct map *map, uint64_t address,
		 char *symbol, size_t room, uint64_t *offset);

struct finding {
	struct run run;
	struct place place;
};

/**
 * struct kernel_copies - what the kernel keeps of the threads, as far as it was searched
 * @off, @required: leave it out; or without it nothing is clean. For who calls, after
 *	scan_open()
 * @why: why it was not searched; "" where it was
 * @searched: bytes of XSAVE areas and kernel stacks
 * @live: runs that are the thread's registers as they are now: found as such, and
 *	told and counted there alone
 * @left_out: of the words of the table, those that there is no room for
 * @unread: threads of which not all could be read, or not all that was found told
 * @asked: a thread's, while that goes to the engine
 */
struct kernel_copies {
	bool off, required, tried;
	char why[160];
	uint64_t searched;
	size_t live, left_out, unread;
	struct words_probe *probe;
	const struct words_answer *asked;
	bool asked_stopped;
};

/**
 * struct scan - all of one
 * @register_place: what is being fed to the engine, if it is no memory
 * @findings: the first FINDINGS_MAX; @nr_found is how many there are
 * @count, @longest: of all, by form: how many, and how much of the secret the longest says
 * @gone: it ended while it was searched
 */
struct scan {
	pid_t pid;
	size_t secret_length;
	char name[64];
	struct stopped stopped;
	struct maps maps;
	struct start_layout layout;
	struct table *table;
	struct engine *engine;
	int memory, pagemap;
	uint8_t *buffer; /* ENGINE_BEFORE, SCAN_BUFFER, ENGINE_AFTER */
	uint8_t *peeked;
	uint64_t peeked_at;
	struct place *register_place;
	struct finding *findings;
	size_t nr_findings, nr_found, nr_whole, nr_threads;
	size_t count[NR_FORMS], longest[NR_FORMS];
	unsigned long long stopped_ns;
	uint64_t registers;
	struct kernel_copies kernel;
	bool gone;
	int undo;
};

#define FINDINGS_MAX 4096
#define SCAN_BUFFER (256 * 1024)
#define SCAN_ROOM (ENGINE_BEFORE + SCAN_BUFFER + ENGINE_AFTER)

/* Where no process has memory: what has no address of its own is at this one. */
#define NO_ADDRESS (1ULL << 63)

/*
 * scan_kernel.c: what the kernel has of the stopped threads, into the same findings. 0 or
 * -errno; where it may not be looked at, scan->kernel.why.
 */
int kernel_scan(struct scan *scan);
/* Makes ready for it, once; kernel_scan() does it too, while the threads are stopped. */
void kernel_open(struct scan *scan);
/* Of a run at @offset in what is fed, where it is; false: it counts as live alone. */
bool kernel_place(struct scan *scan, uint64_t offset, struct place *place);
/* Also in a signal handler. */
void kernel_wipe(struct scan *scan);
void kernel_close(struct scan *scan);

/* scan_memory.c, scan_registers.c: 0, or -ESRCH when the process went away, or -errno. */
int memory_scan(struct scan *scan);
int registers_scan(struct scan *scan);
/* Bytes of the stopped process; how many, or -errno. */
ssize_t memory_read(const struct scan *scan, uint64_t address, void *to, size_t length);
/* For engine_new(). */
int memory_peek(void *scan, uint64_t address);

/* scan_options.c: a whole number from @least on; a list of --forms, as a set of bits. */
struct argp_state;
long option_number(struct argp_state *state, const char *option, const char *text,
		   long least);
unsigned int option_forms(struct argp_state *state, const char *list);

/* scan_session.c */
/*
 * Reads the secret from @fd, to its end, and makes ready to look for it in these @forms. 0;
 * or an exit status, and output_error() has said why. scan_close() either way. Only one
 * thread; this process is out of others' reach from here on (PR_SET_DUMPABLE).
 */
int scan_open(struct scan *scan, int fd, size_t minimum, unsigned int forms);
/* The same, of a secret that the caller has: each byte of it. */
int scan_open_bytes(struct scan *scan, const uint8_t *secret, size_t length,
		    unsigned int forms);
/*
 * Searches @pid, stopped for as long. What was found, and the maps, are in @scan until the
 * next one. 0; or -errno and in @why a sentence.
 */
int scan_process(struct scan *scan, pid_t pid, char *why, size_t room);
/* The same of scan->stopped, whose threads who calls has stopped, and lets go. */
int scan_stopped(struct scan *scan, char *why, size_t room);
/* All that is of one process, and not of the secret. */
void scan_forget(struct scan *scan);
void scan_close(struct scan *scan);

/* scan_file.c: findings in @scan. 0; or -errno and in @why a sentence. */
int scan_file(struct scan *scan, int fd, uint64_t *length, char *why, size_t room);

/* scan_report.c: prints it, and gives the verdict. */
int report(struct scan *scan);
/* How much of the secret a run says, in bytes. */
size_t run_says(const struct scan *scan, const struct run *run);
bool run_whole(const struct run *run);
/* One finding, as an object of @list. */
struct json_object;
void report_finding(const struct scan *scan, struct json_object *list,
		    const struct finding *finding);
/* Why a map could not be read. */
const char *report_protects(const struct map *map);

#endif /* LETHECTL_SCAN_H */
