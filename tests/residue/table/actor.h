/* SPDX-License-Identifier: MIT */
/*
 * A row program that was started, and has come to where it is to be searched.
 */
#ifndef RESIDUE_ACTOR_H
#define RESIDUE_ACTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "measure.h"

#define SECRETS_MAX 16
/* As long as any that a row makes: an RSA key's numbers. */
#define SECRET_ROOM 1024

struct secret {
	uint8_t bytes[SECRET_ROOM];
	size_t length;
};

/**
 * struct actor - the process
 * @searched: it, or a child that it named
 * @stopped: it has been stopped, by ptrace
 * @tell: what it tells comes from here
 */
struct actor {
	pid_t pid, searched;
	bool stopped, ended;
	int tell, terminal;
	struct secret secrets[SECRETS_MAX];
	size_t nr_secrets;
};

/* False, and why not. actor_end() either way. */
bool actor_start(struct actor *actor, const struct known *row, const char *backend,
		 const char *hollow, char *why, size_t room);
/* How many of MXCSR and the x87 control word are not as a program is started with. */
bool actor_control_words(struct actor *actor, struct cell *cell, char *why, size_t room);
/* Nothing is left of it, nor of its secrets. */
void actor_end(struct actor *actor);

#endif /* RESIDUE_ACTOR_H */
