// SPDX-License-Identifier: MIT
/*
 * A handshake's use of the heap as a trace (trace.h), on standard output:
 *
 *	record tls|ssh
 *
 * This program's malloc() and the rest come before libc's, so that what libcrypto,
 * libssl, libssh and libc itself allocate passes through here. First a handshake that
 * has everything still to initialise: of it, the blocks are written that stay. Then
 * one more, every step of it. Addresses and contents are written nowhere.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "../selftests/tap.h"
#include "record.h"

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *block);

#define STEPS_MAX (1 << 17)
/* A power of two, and well above the blocks that are live at any one time. */
#define PLACES (1 << 16)

/* @kind: as trace.h has it, or 0: not to be written. @block: the how manieth. */
struct step {
	char kind;
	unsigned char thread;
	uint32_t block, size, alignment;
};

static struct step steps[STEPS_MAX];
static uint32_t nr_steps, nr_blocks;
/* The first step of the handshake that is written as it is. */
static uint32_t pass;

/* Where live blocks are, and which: open addressing, NULL ends a search. */
static struct place {
	void *at;
	uint32_t block;
} places[PLACES];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool recording;
static __thread unsigned int self;

void record_as(unsigned int thread)
{
	self = thread;
}

static struct place *place_of(const void *at)
{
	size_t i = ((uintptr_t)at >> 4) * 0x9e3779b97f4a7c15 >> 48 & (PLACES - 1);

	while (places[i].at && places[i].at != at)
		i = (i + 1) & (PLACES - 1);
	return &places[i];
}

/* What comes after it may have been put there because this place was taken. */
static void vacate(struct place *place)
{
	struct place moved;

	place->at = NULL;
	for (;;) {
		if (++place == places + PLACES)
			place = places;
		if (!place->at)
			return;
		moved = *place;
		place->at = NULL;
		*place_of(moved.at) = moved;
	}
}

static void add_step(char kind, uint32_t block, size_t size, size_t alignment)
{
	/* Whoever is told so allocates. */
	if (nr_steps == STEPS_MAX)
		abort();
	steps[nr_steps++] = (struct step){ kind, (unsigned char)self, block,
					   (uint32_t)size, (uint32_t)alignment };
}

static void note_new(char kind, void *at, size_t size, size_t alignment)
{
	if (!recording || !at)
		return;
	*place_of(at) = (struct place){ at, nr_blocks };
	add_step(kind, nr_blocks++, size, alignment);
}

/* Those of before the recording are nobody's. */
static void note_free(void *at)
{
	struct place *place = place_of(at);

	if (!place->at)
		return;
	if (recording)
		add_step('f', place->block, 0, 0);
	vacate(place);
}

void *malloc(size_t size)
{
	void *block;

	pthread_mutex_lock(&lock);
	block = __libc_malloc(size);
	note_new('m', block, size, 0);
	pthread_mutex_unlock(&lock);
	return block;
}

void *calloc(size_t count, size_t size)
{
	void *block;

	pthread_mutex_lock(&lock);
	block = __libc_calloc(count, size);
	note_new('c', block, count * size, 0);
	pthread_mutex_unlock(&lock);
	return block;
}

void *memalign(size_t alignment, size_t size)
{
	void *block;

	pthread_mutex_lock(&lock);
	block = __libc_memalign(alignment, size);
	note_new('a', block, size, alignment);
	pthread_mutex_unlock(&lock);
	return block;
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return memalign(alignment, size);
}

int posix_memalign(void **block, size_t alignment, size_t size)
{
	*block = memalign(alignment, size);
	return *block ? 0 : ENOMEM;
}

void free(void *block)
{
	if (!block)
		return;
	pthread_mutex_lock(&lock);
	note_free(block);
	__libc_free(block);
	pthread_mutex_unlock(&lock);
}

/* One that moves is another block from then on, and one that does not too. */
void *realloc(void *block, size_t size)
{
	struct place *place;
	uint32_t from = 0;
	bool known;
	void *fresh;

	if (!block)
		return malloc(size);
	if (!size) {
		free(block);
		return NULL;
	}
	pthread_mutex_lock(&lock);
	place = place_of(block);
	known = place->at;
	if (known)
		from = place->block;
	fresh = __libc_realloc(block, size);
	if (fresh && known) {
		vacate(place);
		*place_of(fresh) = (struct place){ fresh, from };
		if (recording)
			add_step('r', from, size, 0);
	} else {
		note_new('m', fresh, size, 0);
	}
	pthread_mutex_unlock(&lock);
	return fresh;
}

/* For each block, by its number. */
static struct {
	uint32_t slot, size;
	bool live, stays;
	unsigned char thread;
	char kind;
	uint32_t alignment;
} blocks[STEPS_MAX];

static uint32_t free_slots[STEPS_MAX], nr_free_slots, nr_slots;

static uint32_t take_slot(void)
{
	return nr_free_slots ? free_slots[--nr_free_slots] : nr_slots++;
}

static void print_new(char kind, uint32_t block, unsigned int thread)
{
	uint32_t size = blocks[block].size, alignment = blocks[block].alignment;

	blocks[block].slot = take_slot();
	printf("%u%c%u %u", thread, kind, blocks[block].slot, size);
	if (kind == 'a')
		printf(" %u", alignment);
	putchar('\n');
}

static void print_free(uint32_t block, unsigned int thread)
{
	printf("%uf%u\n", thread, blocks[block].slot);
	free_slots[nr_free_slots++] = blocks[block].slot;
}

static void follow(const struct step *step)
{
	if (step->kind == 'f') {
		blocks[step->block].live = false;
		return;
	}
	blocks[step->block].live = true;
	blocks[step->block].size = step->size;
	blocks[step->block].thread = step->thread;
	if (step->kind == 'r')
		return;
	blocks[step->block].kind = step->kind;
	blocks[step->block].alignment = step->alignment;
}

/*
 * The pass can be replayed again and again: what it would free of the blocks that
 * stay it leaves alone, what it would make of them is a new one, and what it leaves
 * is freed at its end.
 */
static void print_step(const struct step *step)
{
	uint32_t block = step->block;

	if (step->kind == 'f') {
		if (blocks[block].stays)
			return;
		print_free(block, step->thread);
	} else if (step->kind == 'r' && !blocks[block].stays) {
		printf("%ur%u %u\n", step->thread, blocks[block].slot, step->size);
	} else {
		blocks[block].stays = false;
		blocks[block].size = step->size;
		blocks[block].alignment = step->alignment;
		print_new(step->kind == 'r' ? 'm' : step->kind, block, step->thread);
	}
	follow(step);
}

static void print_trace(const char *what)
{
	uint32_t i;

	printf("# SPDX-License-Identifier: MIT\n"
	       "# %s: recorded by tests/bench/record.c, read by trace.c\n",
	       what);
	for (i = 0; i < pass; i++)
		follow(&steps[i]);
	for (i = 0; i < nr_blocks; i++) {
		blocks[i].stays = blocks[i].live;
		if (blocks[i].live)
			print_new(blocks[i].kind, i, blocks[i].thread);
	}
	printf("pass\n");
	for (i = pass; i < nr_steps; i++)
		print_step(&steps[i]);
	for (i = 0; i < nr_blocks; i++)
		if (blocks[i].live && !blocks[i].stays)
			print_free(i, blocks[i].thread);
}

void record_pair(void *(*server)(void *end), void *(*client)(void *end))
{
	pthread_t threads[2];
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
		tap_bail("socketpair: %s", strerror(errno));
	if (pthread_create(&threads[0], NULL, server, &ends[0]) ||
	    pthread_create(&threads[1], NULL, client, &ends[1]))
		tap_bail("no thread");
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

int main(int argc, char **argv)
{
	bool tls = argc == 2 && !strcmp(argv[1], "tls");

	if (!tls && (argc != 2 || strcmp(argv[1], "ssh")))
		tap_bail("usage: record tls|ssh");
	/* Who ends first says so to nobody. */
	signal(SIGPIPE, SIG_IGN);
	recording = true;
	(tls ? tls_prepare : ssh_prepare)();
	(tls ? tls_shake_hands : ssh_shake_hands)();
	pass = nr_steps;
	(tls ? tls_shake_hands : ssh_shake_hands)();
	recording = false;
	print_trace(tls ? "a TLS 1.3 handshake, both sides, by libssl" :
			  "an SSH key exchange, both sides, by libssh");
	if (fflush(stdout) || ferror(stdout))
		tap_bail("the trace could not be written");
	return 0;
}
