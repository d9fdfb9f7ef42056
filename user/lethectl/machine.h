/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What a machine lacks for secrets to stay where they are: one check a question, and
 * for each that does not turn out well one line that mends it.
 */
#ifndef LETHECTL_MACHINE_H
#define LETHECTL_MACHINE_H

#include <stdbool.h>
#include <stddef.h>

/**
 * enum severity - what a check came to, the worst last
 * @FINE: nothing is lacking
 * @NOTE: good to know; nothing gets out by it
 * @UNSEEN: it could not be told
 * @LACKS: what a program has outside of secret pages (before, after, or copied from
 *	them) can get to a disk, or to others who should not have it; or they can make
 *	the program tell
 * @VIOLATION: so can what is on secret pages: the promise of the backend is not kept,
 *	or there is none
 */
enum severity { FINE, NOTE, UNSEEN, LACKS, VIOLATION };

/**
 * struct machine - what is looked at
 * @root: before each path that is read; "" for this machine
 * @backend: lethe_backend(); NULL if there is none
 * @backend_error: why there is none: errno
 * @unmapped: is what the backend gives unmapped? Else locked
 * @secretmem: what memfd_secret(2) said: 0 or errno
 * @seccomp: does a filter stand between this process and the kernel?
 * @memlock: RLIMIT_MEMLOCK, the hard limit, in bytes; ULLONG_MAX is none
 * @unlimited: has CAP_IPC_LOCK, for which that limit does not count
 * @core: RLIMIT_CORE, the soft one
 * @rseq: is rseq(2) registered for the threads of this process?
 * @rseq_tunable: has GLIBC_TUNABLES said that it is not to be?
 */
struct machine {
	const char *root;
	const char *backend;
	int backend_error;
	bool unmapped;
	int secretmem;
	bool seccomp;
	unsigned long long memlock, core;
	bool unlimited;
	bool rseq, rseq_tunable;
};

/**
 * struct finding - what one check came to
 * @name: of the check: stable, for scripts
 * @what: for people, in one line
 * @mend: the one line that mends it; "" where nothing is to be mended
 */
struct finding {
	const char *name;
	enum severity severity;
	char what[320], mend[320];
};

/* How many checks there are, at most. */
#define MACHINE_CHECKS 24

/* What is not in files, of this process on this machine. */
void machine_ask(struct machine *machine);
/* Every check; how many. @findings has room for MACHINE_CHECKS. */
size_t machine_look(const struct machine *machine, struct finding *findings);

/* For checks: what it came to. @mend may be NULL. */
void find(struct finding *finding, enum severity severity, const char *mend,
	  const char *format, ...) __attribute__((format(printf, 4, 5)));

/* How the kernel is locked down ("none", ...) to @mode: as file_read(), or -EINVAL. */
int machine_lockdown(const struct machine *machine, char *mode, size_t room);

/* The checks of other files than machine.c. */
void check_swap(const struct machine *machine, struct finding *finding);
void check_zswap(const struct machine *machine, struct finding *finding);
void check_hibernation(const struct machine *machine, struct finding *finding);
void check_kdump(const struct machine *machine, struct finding *finding);
void check_core_pattern(const struct machine *machine, struct finding *finding);
void check_suid_dumpable(const struct machine *machine, struct finding *finding);
void check_lockdown(const struct machine *machine, struct finding *finding);
void check_ptrace(const struct machine *machine, struct finding *finding);
void check_bpf(const struct machine *machine, struct finding *finding);
void check_perf(const struct machine *machine, struct finding *finding);
void check_init_on_free(const struct machine *machine, struct finding *finding);

/**
 * swap_look() - what swap there is
 * @areas: returns how many
 * @plain: returns how many of these would have pages on a disk that are not encrypted
 * @unseen: returns how many it could not be told of
 * @first: returns the name of the first that is plain, or else unseen, escaped
 *
 * Return: 0, or -errno: it cannot be told.
 */
int swap_look(const char *root, unsigned int *areas, unsigned int *plain,
	      unsigned int *unseen, char *first, size_t room);

#endif /* LETHECTL_MACHINE_H */
