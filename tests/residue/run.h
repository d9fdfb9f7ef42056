/* SPDX-License-Identifier: MIT */
/*
 * One run of the main job: two fresh peers, stopped and searched within each step
 * and after it.
 */
#ifndef RESIDUE_RUN_H
#define RESIDUE_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "ask.h"
#include "lethe.h"
#include "peer.h"

/* How a run is searched: never both, for ptrace makes copies of its own. */
enum look {
	LOOK_PROCESS, /* residue-search attaches to each peer */
	LOOK_RAM,     /* the host searches the guest's whole memory */
};

/* What was found at one stop, both peers together. */
struct tally {
	uint64_t copies[NR_SECRETS][NR_WHERE];
	uint64_t bytes;
	struct unreadable unreadable[ASK_UNREADABLE];
	unsigned int nr_unreadable;
	/* With Lethe: what each peer found in its own secret pages. */
	uint64_t own[NR_SECRETS];
	uint64_t own_bytes;
	/* LOOK_RAM; without the module no frame is known to be secret. */
	uint64_t ram_secret[NR_SECRETS], ram_elsewhere[NR_SECRETS];
	uint64_t ram_bytes;
};

struct run {
	/* asked */
	bool lethe;
	enum look look;
	int file;
	/* answered */
	char backend[24];
	int level;
	uint64_t size;
	uint8_t digest[32];
	double seconds; /* of the exchange, without the searches */
	struct needle needles[NR_SECRETS];
	struct tally tally[NR_STOPS];
	char error[256];
};

/* 0; or -1 and a sentence in @error. No process of it is left either way. */
int run_job(struct run *run);
/* Once, without a search, for somebody else to search it; the key is the sender's. */
int run_once(struct run *run, int key_fd);

/* For "return run_failed(...)": -1. */
int run_failed(struct run *run, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* look.c. 0; or -1 and run->error. */
int look_at_process(struct run *run, pid_t pid, struct tally *tally);
int look_at_ram(struct run *run, unsigned int stop);
/* Is there a host that can search this machine's memory? */
bool look_has_ram(void);

#endif /* RESIDUE_RUN_H */
