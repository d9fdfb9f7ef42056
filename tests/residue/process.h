/* SPDX-License-Identifier: MIT */
/*
 * Searching another process: attach, all of its memory, all of its registers.
 *
 * The process is stopped while it is searched and runs on afterwards, also when
 * the searcher dies: nothing here may end it, write to it, or leave it stopped.
 */
#ifndef RESIDUE_PROCESS_H
#define RESIDUE_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "search.h"

enum where {
	WHERE_STACK, /* a mapping that a thread's stack pointer is in */
	WHERE_HEAP,  /* [heap] */
	WHERE_REGISTER,
	WHERE_LIBRARY,   /* a mapped file, or the bss after it */
	WHERE_SECRET,    /* pages locked and kept out of dumps, or Lethe's */
	WHERE_ANONYMOUS, /* any other memory */
	NR_WHERE,
};

extern const char *const where_names[NR_WHERE];

struct mapping {
	uint64_t start, end;
	bool readable;  /* by the process itself, now */
	bool file;      /* has an inode */
	bool populated; /* holds a page, in memory or in swap */
	bool locked, dontdump;
	enum where where;
	uint64_t refused; /* bytes that the kernel would not let us read */
	char name[64];    /* without " (deleted)" */
};

struct thread {
	pid_t tid;
	int signal; /* taken from it while stopping; given back */
	bool stopped;
	uint64_t stack_pointer;
};

struct process {
	pid_t pid;
	struct thread *threads;
	size_t nr_threads;
	struct mapping *mappings;
	size_t nr_mappings;
	size_t searched_mappings;
	int memory, pagemap; /* of /proc/pid; -1 where there is none */
};

/*
 * Stops every thread of @pid and reads its list of mappings. 0; or -errno and,
 * in @why, a sentence for the person who asked. process_detach() either way.
 */
int process_attach(struct process *process, pid_t pid, char *why, size_t room);
void process_detach(struct process *process);
/*
 * at_exit.c: runs @argv, and as it ends, all of its memory still there, stops it:
 * then as after process_attach(). Its status is of no interest. Who is forked on the
 * way is let go.
 */
int process_run_to_exit(struct process *process, char **argv, char *why, size_t room);

/* For at_exit.c: the part of process_attach() that is left, of stopped threads. */
int process_stopped(struct process *process);

/*
 * Feeds @search with the registers of every thread, then with every mapping.
 * During the call process_where() tells where a copy's address lies. 0 or
 * -errno, when the process went away.
 */
int process_search(struct process *process, struct search *search);
const struct mapping *process_mapping(const struct process *process, uint64_t address);
enum where process_where(const struct process *process, uint64_t address);

/* memory.c: what process_attach() and process_search() are made of. */
int memory_open(struct process *process);
void memory_close(struct process *process);
int memory_search(struct process *process, struct search *search);

/*
 * Registers have no address: they are fed at one that no process can use, a
 * page apart for each of a thread's register sets.
 */
#define REGISTER_ADDRESS ((uint64_t)1 << 63)

#endif /* RESIDUE_PROCESS_H */
