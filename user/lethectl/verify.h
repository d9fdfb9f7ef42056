/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * lethectl verify: what its files know of each other.
 *
 *	verify.c		what it is asked for, and the way through
 *	verify_start.c		the program, started and traced from its first instruction
 *	verify_trace.c		what is heard of its threads, and what is done about it
 *	verify_exit.c		how a process of it ends
 *	verify_tracee.c		its processes and threads, as they come and go
 *	verify_world.c		a process stopped whole
 *	verify_marks.c		breakpoints on the marks of liblethe, and on the dynamic linker
 *	verify_notes.c		where a file has such marks
 *	verify_search.c		a search of what is stopped, and when there is one
 *	verify_core.c		the core dump
 *	scan_file.c		a file, to the engine
 *	verify_probes.c		the probes of watch, of this program alone
 *	verify_record.c		all that was seen, as JSON
 *	verify_checks.c		what of it was asked, and the verdict
 *	verify_files.c		the files that are written: HTML, JUnit XML, JSON
 */
#ifndef LETHECTL_VERIFY_H
#define LETHECTL_VERIFY_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "scan.h"

enum mark_kind {
	MARK_END,    /* a section has ended */
	MARK_AT,     /* one of those that were asked for */
	MARK_LINKER, /* the dynamic linker has mapped or unmapped something */
	MARK_ENTRY,  /* the program's first instruction, where the linker tells nothing */
};

/**
 * struct mark - a breakpoint
 * @address: of it
 * @was: the instruction's first byte, under it
 * @name: of those that were asked for
 */
struct mark {
	uint64_t address;
	enum mark_kind kind;
	uint8_t was;
	const char *name;
};

/**
 * struct marks - those of one memory, which several processes may have in common
 * @users: processes
 * @ends: how many of them are section ends
 */
struct marks {
	unsigned int users;
	struct mark *mark;
	size_t nr, room, ends;
};

/**
 * struct process - one of the program's
 * @children: threads of it that are known
 * @live: those of them that have not begun to exit
 * @sections, @searched: section ends, and those at which it was searched
 * @kept: the thread that ended all others, stopped until they are gone
 * @executed: it runs a program, and not what it had when it was forked
 * @exit_searched: its memory was, as it ended
 * @dumps: a signal that dumps a core was given to it
 * @maps: how many pictures of its address space are recorded
 */
struct process {
	struct process *next;
	pid_t pid, parent;
	char name[64];
	double from, to;
	size_t threads, live;
	struct tracee *kept;
	unsigned long long sections, searched;
	struct marks *marks;
	bool executed, exit_searched, ended, let_go;
	int dumps, status;
	char cwd[4096];
	unsigned int maps;
	bool maps_found;
};

/**
 * struct tracee - a thread
 * @process: NULL as long as nobody has told who made it
 * @stopped: and nobody has let it go on
 * @queued: @status is heard, and nothing done about it yet
 * @asked: to stop
 * @served: the section end at which it stands was searched
 * @awaits: its child of vfork(2): nothing stops it
 */
struct tracee {
	pid_t tid;
	struct process *process;
	int status;
	bool stopped, queued, asked, exiting, served, awaits;
	struct tracee *next, *behind; /* of all; in the queue */
};

enum probes_wanted { PROBES_IF_POSSIBLE, PROBES_REQUIRED, PROBES_NONE };

struct verify_probes;

/* What was asked for. */
struct verify_options {
	int secret_fd;
	const char *secret_file;
	unsigned int forms;
	size_t minimum;
	unsigned long long every; /* 0: as the time allows */
	const char *at[16];
	unsigned int nr_at;
	double wait;
	bool core, keep_core;
	enum probes_wanted probes;
	const char *html, *junit, *json;
	char **program;
};

/* Of the searches of one kind. */
struct verify_count {
	unsigned long long stops, found, whole, incomplete;
};

enum why { WHY_SECTION, WHY_MARK, WHY_EXIT, WHY_CORE, WHY_LEFT, NR_WHYS };

struct verify {
	struct verify_options asked;
	int program_stdout;
	/* the secret */
	struct scan scan;
	bool ready;  /* it is read */
	bool failed; /* it cannot be */
	/* the program */
	struct process *processes, *root;
	struct tracee *tracees;
	struct tracee *queue, *queue_end;
	size_t nr_tracees;
	int failure; /* of execve(2); a pipe, until it is read */
	int signals;
	bool ending; /* it was told to end */
	unsigned long long began;
	char started[32];
	/* what came of it */
	struct verify_count count[NR_WHYS];
	unsigned long long sections, searched, searching_ns;
	unsigned long long reached, reached_searched; /* marks that were asked for */
	const char *at_name;
	unsigned long long unsearched_exits, unseen_marks, execs, let_go;
	unsigned long long dumped_found, dumped_stops, core_found;
	unsigned long long secret_dumped, secret_maps, pages_seen, pages_secret;
	unsigned int statuses[4]; /* of checks */
	bool kmod, memfd, liblethe;
	bool core_made, core_searched, core_piped;
	char core_name[512];
	struct verify_probes *probes;
	struct json_object *all, *stops, *maps, *events, *notes, *checks, *probe_list;
	unsigned long long stops_left_out, events_left_out;
	/* Of the findings of the last search. */
	bool in_use[FINDINGS_MAX];
	size_t nr_in_use;
	unsigned long long used;
};

/* verify_start.c: 0, or an exit status of enum run_status, and it was said why. */
int verify_start(struct verify *verify);
/* Once it has ended without having begun: the same. */
int verify_start_failed(struct verify *verify);

/* verify_trace.c: until it has ended, and all that it made. 0 or -errno. */
int verify_trace(struct verify *verify);
/* Runs on, a signal being given to it; or waits for the end of a stop by SIGSTOP. */
void tracee_go_on(struct tracee *tracee, int signal);
/* Hears of one, whoever it is: into the queue. */
void trace_hear(struct verify *verify, pid_t tid, int status);
double verify_seconds(const struct verify *verify);

/* verify_exit.c */
/* A thread stands at its end. False if it is not to go on now. */
bool exit_begins(struct verify *verify, struct tracee *tracee);
/* It is gone. */
void exit_ends(struct verify *verify, struct tracee *tracee);
/* Where its core would be. */
void remember_place(struct process *process);

/* verify_tracee.c */
struct tracee *tracee_find(struct verify *verify, pid_t tid);
struct tracee *tracee_new(struct verify *verify, pid_t tid);
void tracee_of(struct tracee *tracee, struct process *process);
void tracee_begins_exit(struct tracee *tracee);
void tracee_gone(struct verify *verify, struct tracee *tracee);
void tracee_queue(struct verify *verify, struct tracee *tracee);
struct tracee *tracee_next(struct verify *verify);
struct process *process_new(struct verify *verify, pid_t pid, pid_t parent);
struct process *process_find(struct verify *verify, pid_t pid);
void process_name(struct process *process);
/* The first, or the next: NULL after the last. */
struct tracee *tracee_each(struct verify *verify, struct tracee *after);
void tracees_free(struct verify *verify);
/* A number of /proc/pid/status; -1: it is not there. @base 16 or 10. */
long long status_number(pid_t pid, const char *key, int base);

/* verify_world.c */
/*
 * Stops all threads of @tracee's process, and says so in @stopped: those that cannot be
 * are counted there. False: @tracee itself went on to its end meanwhile.
 */
bool world_stop(struct verify *verify, struct tracee *tracee, struct stopped *stopped);

/* verify_notes.c */
/* A place in a file to stop at; @name as --at has it. */
struct noted_mark {
	uint64_t offset;
	enum mark_kind kind;
	const char *name;
};

/**
 * struct noted - what a file says of itself
 * @mark: where sections end, and what was asked for
 * @linker: of a dynamic linker, where it tells debuggers; 0: it is none
 * @entry: the first instruction, for one that has an interpreter
 */
struct noted {
	uint64_t device, inode;
	struct noted_mark *mark;
	size_t nr_marks;
	uint64_t linker, entry;
	uint8_t linker_was, entry_was;
	bool interpreted, traces;
};

/* Marks that are wanted beside section ends; before the first notes_of(). */
void notes_want(const char *const *names, unsigned int nr);
/* Of the file that is mapped at @start to @end; NULL: it cannot be read, or is no program. */
const struct noted *notes_of(pid_t pid, uint64_t start, uint64_t end, const char *name,
			     uint64_t inode);

/* verify_marks.c */
struct marks *marks_new(void);
struct marks *marks_share(struct marks *marks);
struct marks *marks_copy(const struct marks *marks);
void marks_free(struct marks *marks);
/* Looks for marks in what is mapped, and puts breakpoints there. A new program: @first. */
void marks_look(struct verify *verify, struct tracee *tracee, bool first);
/* The one that @tracee has run into; NULL: none of ours. */
const struct mark *marks_hit(const struct tracee *tracee);
/* Behind one that is no end of a section, as if it were not there. */
void marks_pass(struct verify *verify, struct tracee *tracee, const struct mark *mark);
/* As it was before. */
void marks_remove(struct tracee *tracee);

/* verify_search.c */
void search(struct verify *verify, struct tracee *tracee, enum why why);
/* A section has ended, or a mark been reached; searches, if it is time to. */
void search_at(struct verify *verify, struct tracee *tracee, const struct mark *mark);
extern const char *const why_names[NR_WHYS];
bool map_is_secret(const struct map *map);

/* verify_core.c */
/* Does this signal, not caught, make it dump its core? */
bool core_dumps(pid_t pid, int signal);
/* Which mappings the kernel would write: /proc/pid/coredump_filter, and what is not to be. */
struct core_set {
	unsigned int filter;
	size_t nr;
	uint64_t *not_dumped; /* where such begin */
};

void core_set_read(struct core_set *set, pid_t pid, pid_t tid);
bool core_set_has(const struct core_set *set, const struct map *map);
/* Is it kept out of dumps on purpose? As all secret pages are, those of mlock too. */
bool core_set_excludes(const struct core_set *set, const struct map *map);
void core_set_free(struct core_set *set);
/* After the end: the file, if there is one. */
void core_search(struct verify *verify, struct process *process);

/* verify_probes.c */
void probes_open(struct verify *verify);
/* Descriptors to poll, into @fds, of which there is room for four; how many. */
struct pollfd;
int probes_poll(struct verify *verify, struct pollfd *fds);
void probes_turn(struct verify *verify);
void probes_close(struct verify *verify);
/* Into checks. */
void probes_check(struct verify *verify);

/* verify_record.c */
void record_begin(struct verify *verify);
struct json_object *record_stop(struct verify *verify, const struct tracee *tracee,
				enum why why);
void record_findings(struct verify *verify, struct json_object *stop,
		     const struct scan *scan);
void record_maps(struct verify *verify, struct process *process, const struct maps *maps,
		 bool found);
void record_note(struct verify *verify, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void record_event(struct verify *verify, pid_t pid, const char *kind, const char *what,
		  bool violation);
void record_end(struct verify *verify);

enum check_status { CHECK_PASSED, CHECK_FAILED, CHECK_NOT_ASKED, CHECK_UNKNOWN };

/* verify_checks.c: enum status. */
int checks(struct verify *verify);
void check_add(struct verify *verify, const char *name, enum check_status status,
	       const char *format, ...) __attribute__((format(printf, 4, 5)));

/* verify_files.c: 0, or it was said which could not be written. */
int files_check(const struct verify *verify);
int files_write(struct verify *verify);

#endif /* LETHECTL_VERIFY_H */
