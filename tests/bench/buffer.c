// SPDX-License-Identifier: MIT
/*
 * Guarded buffers beside libsodium's: made, written to a byte a page, wiped and freed;
 * and opened and closed. The two alternate in slices of a row. Each touches what it has,
 * since a change of access is paid for in part by the touch that follows.
 */
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "../selftests/tap.h"
#include "buffer.h"
#include "lethe.h"
#include "series.h"
#include "slices.h"

#define PAGE 4096
#define US 1000.0
#define MANY 500

/* What the two are to do. */
static size_t length;
static unsigned int flags;
static struct lethe_buffer *buffer;
static unsigned char *sodium;

static void touch(volatile unsigned char *data)
{
	for (size_t i = 0; i < length; i += PAGE)
		data[i] = 1;
}

static struct lethe_buffer *new_buffer(void)
{
	struct lethe_buffer *b = lethe_buffer_new(length, flags);

	if (!b)
		tap_bail("lethe_buffer_new: %s", strerror(errno));
	touch(lethe_buffer_data(b));
	return b;
}

static unsigned char *new_sodium(void)
{
	unsigned char *p = sodium_malloc(length);

	if (!p)
		tap_bail("sodium_malloc: %s", strerror(errno));
	touch(p);
	return p;
}

static void make_ours(void (*op)(void *), const struct lethe_options *options)
{
	(void)op;
	(void)options;
	lethe_buffer_free(new_buffer());
}

static void make_theirs(void (*op)(void *), const struct lethe_options *options)
{
	(void)op;
	(void)options;
	sodium_free(new_sodium());
}

static void make_many(void (*op)(void *), const struct lethe_options *options)
{
	static struct lethe_buffer *b[MANY];

	(void)op;
	(void)options;
	for (int i = 0; i < MANY; i++)
		b[i] = new_buffer();
	for (int i = 0; i < MANY; i++)
		lethe_buffer_free(b[i]);
}

static void make_many_of_theirs(void (*op)(void *), const struct lethe_options *options)
{
	static unsigned char *p[MANY];

	(void)op;
	(void)options;
	for (int i = 0; i < MANY; i++)
		p[i] = new_sodium();
	for (int i = 0; i < MANY; i++)
		sodium_free(p[i]);
}

static void open_ours(void (*op)(void *), const struct lethe_options *options)
{
	(void)op;
	(void)options;
	if (lethe_buffer_open(buffer, LETHE_ACCESS_READ))
		tap_bail("lethe_buffer_open failed");
	(void)*(volatile unsigned char *)lethe_buffer_data(buffer);
	lethe_buffer_close(buffer);
}

static void open_theirs(void (*op)(void *), const struct lethe_options *options)
{
	(void)op;
	(void)options;
	sodium_mprotect_readonly(sodium);
	(void)*(volatile unsigned char *)sodium;
	sodium_mprotect_noaccess(sodium);
}

static void seal_ours(void (*op)(void *), const struct lethe_options *options)
{
	(void)op;
	(void)options;
	if (lethe_buffer_seal(buffer) || lethe_buffer_unseal(buffer))
		tap_bail("lethe_buffer_seal failed");
}

#define FIFTH 0.2

static struct {
	const char *name, *peers;
	size_t length;
	unsigned int flags;
	way ours, theirs;
	unsigned int slices, ops, each;
	double goal; /* ours to libsodium's; 0: none */
	struct series our, their;
} subjects[] = {
	{ "guarded buffer of 32 B, create+destroy",
	  "sodium_malloc+free",
	  32,
	  0,
	  make_ours,
	  make_theirs,
	  31,
	  8,
	  1,
	  FIFTH,
	  { { 0 } },
	  { { 0 } } },
	{ "guarded buffer of 4 KiB, create+destroy",
	  "sodium_malloc+free",
	  PAGE,
	  0,
	  make_ours,
	  make_theirs,
	  31,
	  8,
	  1,
	  FIFTH,
	  { { 0 } },
	  { { 0 } } },
	{ "LETHE_BUFFER_QUICK, 32 B, create+destroy",
	  "sodium_malloc+free",
	  32,
	  LETHE_BUFFER_QUICK,
	  make_ours,
	  make_theirs,
	  31,
	  8,
	  1,
	  FIFTH,
	  { { 0 } },
	  { { 0 } } },
	{ "LETHE_BUFFER_QUICK, 4 KiB, create+destroy",
	  "sodium_malloc+free",
	  PAGE,
	  LETHE_BUFFER_QUICK,
	  make_ours,
	  make_theirs,
	  31,
	  8,
	  1,
	  FIFTH,
	  { { 0 } },
	  { { 0 } } },
	{ "guarded buffers of 32 B, 500 at once, each",
	  "sodium_malloc+free",
	  32,
	  0,
	  make_many,
	  make_many_of_theirs,
	  1,
	  1,
	  MANY,
	  0,
	  { { 0 } },
	  { { 0 } } },
	{ "guarded buffer of 32 B, open+read+close",
	  "sodium_mprotect_*",
	  32,
	  0,
	  open_ours,
	  open_theirs,
	  31,
	  8,
	  1,
	  0,
	  { { 0 } },
	  { { 0 } } },
	{ "guarded buffer of 32 B, seal+unseal",
	  "sodium_malloc+free",
	  32,
	  0,
	  seal_ours,
	  make_theirs,
	  31,
	  4,
	  1,
	  0,
	  { { 0 } },
	  { { 0 } } },
};

#define SUBJECTS (sizeof(subjects) / sizeof(subjects[0]))

void measure_buffers(unsigned int round, unsigned int slices)
{
	struct taken taken;
	unsigned int nr;

	if (sodium_init() < 0)
		tap_bail("sodium_init failed");
	for (size_t i = 0; i < SUBJECTS; i++) {
		length = subjects[i].length;
		flags = subjects[i].flags;
		buffer = new_buffer();
		lethe_buffer_protect(buffer, LETHE_ACCESS_NONE);
		sodium = new_sodium();
		sodium_mprotect_noaccess(sodium);
		nr = subjects[i].slices < slices ? subjects[i].slices : slices;
		taken = take(NULL, subjects[i].theirs, subjects[i].ours, NULL, nr,
			     subjects[i].ops);
		subjects[i].our.at[round] = taken.section / US / subjects[i].each;
		subjects[i].their.at[round] = taken.plain / US / subjects[i].each;
		lethe_buffer_free(buffer);
		sodium_free(sodium);
	}
}

void print_buffers(void)
{
	for (size_t i = 0; i < SUBJECTS; i++) {
		const struct series *our = &subjects[i].our, *their = &subjects[i].their;

		if (subjects[i].goal)
			at_most(subjects[i].name, "us", our, their, subjects[i].peers,
				subjects[i].goal);
		else
			row(subjects[i].name, "us", our, their, subjects[i].peers,
			    median(our) / median(their), "-", "-");
	}
}
