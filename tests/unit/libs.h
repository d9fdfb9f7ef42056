/* SPDX-License-Identifier: MIT */
/*
 * What the tests of third-party libraries on the secret heap share: each says how its
 * library is put to real use, and libs.c runs that cold and warm, in sections and out.
 */
#ifndef LIBS_H
#define LIBS_H

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "lethe.h"

/* A library that was not there when this was built. */
#define WITHOUT(library, test)                                    \
	Test(libs, test)                                          \
	{                                                         \
		cr_skip_test("built where there is no " library); \
	}

static inline bool secret(const void *p)
{
	return lethe_level_of(p) > LETHE_LEVEL_NONE;
}

#define OBJECTS_MAX 8
#define RESULT_MAX 128

/**
 * struct use - one use of a library
 * @good: what it made is right: signatures verify, data came through
 * @objects: blocks of the library's that it leaves alive: secret, if this ran in a
 *	section
 * @ordinary: likewise, but ordinary wherever this ran: of a thread that is in no section
 * @result: what must be the same wherever this runs
 * @more: the use's own
 */
struct use {
	bool good;
	void *objects[OBJECTS_MAX], *ordinary[OBJECTS_MAX];
	unsigned char result[RESULT_MAX];
	void *more;
};

/**
 * struct library - how a library is used
 * @name: as the table has it
 * @use: the use; it allocates what it needs itself, and looks at nothing
 * @done: frees what the use left
 */
struct library {
	const char *name;
	void (*use)(struct use *use);
	void (*done)(struct use *use);
};

/*
 * In a process of its own cold, warm, and to its end with the exit handlers. Then
 * here: cold in a section, freed by another thread; warm, freed outside; outside of
 * sections, freed in one.
 */
void check_library(const struct library *library);

/* A connection of this process to itself: two sockets that time out. */
bool loopback(int sockets[2]);
/* What goes to stderr from now on, by number; and all that came. */
int catch_stderr(void);
const char *caught(int fd);

#endif /* LIBS_H */
