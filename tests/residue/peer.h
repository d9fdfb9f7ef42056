/* SPDX-License-Identifier: MIT */
/*
 * A peer of the main job as a process of its own, and how it is led: it says
 * what it has come to, blocks on a pipe there, and goes on when it is told to.
 *
 * A peer is forked from a process that has never called libcrypto. Plainly or
 * with Lethe, it runs the same steps; what differs is one call around each.
 */
#ifndef RESIDUE_PEER_H
#define RESIDUE_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "exchange.h"
#include "needle.h"

/*
 * Where a peer stops to be searched: twice for each step, in the middle of it and
 * after it, when what it gives up is freed and cleansed and its section left.
 */
#define NR_STOPS (2 * NR_STEPS)

static inline unsigned int stop_within(enum step step)
{
	return 2 * step;
}

static inline unsigned int stop_after(enum step step)
{
	return 2 * step + 1;
}

struct peer_setup {
	enum role role;
	bool lethe;
	int listener;  /* the receiver accepts here */
	uint16_t port; /* the sender connects there */
	int file;
	/* Nobody leads or searches it: it goes through to its end, and ends. */
	bool once;
	int key_fd; /* the sender's private key, or -1 */
};

struct peer {
	enum role role;
	pid_t pid;
	int from, to; /* pipes, the runner's ends */
};

enum note_kind { NOTE_NEEDLE, NOTE_STOPPED, NOTE_SEARCHED, NOTE_FAILED };

/* What a peer tells the runner; never a secret. */
struct note {
	enum note_kind kind;
	unsigned int stop;
	enum secret secret;
	struct needle needle; /* NEEDLE */
	char backend[24];     /* STOPPED within a step, with Lethe */
	int level;            /* the lower of the stack's and the heap's */
	uint64_t size;        /* STOPPED after the last step: of the file */
	uint8_t digest[32];
	uint64_t copies[NR_SECRETS]; /* SEARCHED: in its own secret pages */
	uint64_t bytes;
	char error[160]; /* FAILED */
};

extern const char *const secret_names[NR_SECRETS];

/* 0 or -errno. The caller ends it with peer_end() either way. */
int peer_start(struct peer *peer, const struct peer_setup *setup);
/* The next note: 0; -EPIPE, the peer ended; -ETIMEDOUT; or -errno. */
int peer_listen(struct peer *peer, struct note *note);
/* To a stopped peer: go on; or search your own secret pages, then say. */
int peer_go_on(struct peer *peer);
int peer_search_itself(struct peer *peer);
void peer_end(struct peer *peer);
/* Of one that ends by itself: its exit status, or -errno. */
int peer_await(struct peer *peer);

/*
 * self_search.c, in the peer: what is in secret pages, which nobody else can
 * read? Fills @note. 0 or -errno.
 */
int search_secret_pages(const struct needle *needles, const bool *known,
			struct note *note);

#endif /* RESIDUE_PEER_H */
