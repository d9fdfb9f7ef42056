// SPDX-License-Identifier: MIT
/*
 * For aside.sh: the malloc family in real use, in a section and out of it, each block
 * of it resized, measured and freed in all the ways there are. Prints whether what
 * was allocated in the section is secret, and ends with 1 where anything went wrong.
 * It knows nothing of who serves it.
 *
 *	aside [no-pvalloc]
 *
 * With LATE, liblethe-malloc.so at that path comes when all else has begun; with FIXED
 * the address of malloc() is one that the linker had to make up.
 */
#ifdef LATE
#include <dlfcn.h>
#endif
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "lethe.h"

#define WAYS 10U
#define LENGTH (50 * 64)

struct use {
	char *blocks[WAYS];
	unsigned int secret, wrong;
};

/* Valgrind ends a program that calls it. */
static bool no_pvalloc;

#ifdef FIXED
static void *(*volatile its_malloc)(size_t);
#else
#define its_malloc malloc
#endif

static void *allocate(unsigned int way)
{
	void *block = NULL;

	switch (way) {
	case 0:
		return its_malloc(LENGTH);
	case 1:
		return calloc(LENGTH / 10, 10);
	case 2:
		return realloc(NULL, LENGTH);
	case 3:
		return reallocarray(NULL, LENGTH / 10, 10);
	case 4:
		return aligned_alloc(64, LENGTH);
	case 5:
		return memalign(64, LENGTH);
	case 6:
		return posix_memalign(&block, 64, LENGTH) ? NULL : block;
	case 7:
		return valloc(LENGTH);
	case 8:
		return no_pvalloc ? valloc(LENGTH) : pvalloc(LENGTH);
	default:
		block = malloc(LENGTH);
		if (block)
			memset(block, 0, LENGTH);
		return block;
	}
}

static void allocate_all(void *arg)
{
	struct use *use = arg;
	unsigned int i;

	for (i = 0; i < WAYS; i++) {
		use->blocks[i] = allocate(i);
		use->secret += lethe_level_of(use->blocks[i]) > LETHE_LEVEL_NONE;
		if (use->blocks[i] && malloc_usable_size(use->blocks[i]) >= LENGTH)
			memset(use->blocks[i], 'a' + (int)i, LENGTH);
		else
			use->wrong++;
	}
}

static void resize_all(void *arg)
{
	struct use *use = arg;
	unsigned int i;
	char *grown;

	for (i = 0; i < WAYS; i++) {
		grown = i % 2 ? reallocarray(use->blocks[i], 10, LENGTH) :
				realloc(use->blocks[i], (size_t)10 * LENGTH);
		if (!grown || grown[0] != 'a' + (int)i || grown[LENGTH - 1] != grown[0])
			use->wrong++;
		use->blocks[i] = grown;
	}
}

static void free_all(void *arg)
{
	struct use *use = arg;
	unsigned int i;

	for (i = 0; i < WAYS; i++)
		free(use->blocks[i]);
}

static void *free_in_thread(void *arg)
{
	free_all(arg);
	return NULL;
}

static void run(void (*fn)(void *), struct use *use, bool inside)
{
	if (!inside)
		fn(use);
	else if (lethe_do(fn, use))
		use->wrong++;
}

int main(int argc, char **argv)
{
	unsigned int way, secret = 0, plainly = 0, wrong = 0;
	pthread_t thread;

#ifdef FIXED
	/* In an instruction, where no loader puts another's. */
	its_malloc = malloc;
#endif
#ifdef LATE
	wrong += !dlopen(LATE, RTLD_NOW | RTLD_GLOBAL);
#endif
	no_pvalloc = argc > 1 && !strcmp(argv[1], "no-pvalloc");
	/* Where it is allocated, resized and freed, in every order. */
	for (way = 0; way < 8; way++) {
		struct use use = { .wrong = 0 };

		run(allocate_all, &use, way & 1);
		run(resize_all, &use, way & 2);
		if (way & 4)
			run(free_all, &use, true);
		else if (pthread_create(&thread, NULL, free_in_thread, &use) ||
			 pthread_join(thread, NULL))
			use.wrong++;
		*(way & 1 ? &secret : &plainly) += use.secret;
		wrong += use.wrong;
	}
	printf("%s, outside %s%s%s\n",
	       secret == 4 * WAYS ? "secret" :
	       secret             ? "partly secret" :
				    "ordinary",
	       plainly ? "secret" : "ordinary", wrong ? ", and wrong" : "",
	       getauxval(AT_SECURE) ? ", with more rights" : "");
	return wrong > 0;
}
