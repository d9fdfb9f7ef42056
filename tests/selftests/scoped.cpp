// SPDX-License-Identifier: MIT
/*
 * LETHE_SCOPED_HEAP: what a section allocated is wiped and freed when it is over, but
 * for what lethe_keep() named; each time beside the same section without the flag,
 * whose blocks live on. In C++, for exceptions are one of the ways out. On whichever
 * backend is in use.
 */
#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <pthread.h>
#include <stdexcept>

#include "child.h"
#include "lethe.h"
#include "tap.h"

static const size_t NR = 40;
static const size_t PAGES = 40000;

struct Work {
	char *blocks[NR], *pages, *kept, *kept_pages, *before;
	bool keeps, throws, jumps, frees;
	int err;
};

static lethe_report report;
static jmp_buf outside;

static char *filled(size_t size)
{
	char *block = static_cast<char *>(lethe_malloc(size));

	if (block)
		std::memset(block, 0x5a, size);
	return block;
}

static bool all_are(const char *p, char byte, size_t n)
{
	while (n--)
		if (*p++ != byte)
			return false;
	return true;
}

static size_t size_of(size_t i)
{
	return 16 + i * 50;
}

/* Blocks of many sizes, and beside each a block that is to be kept. */
static void work(void *arg)
{
	Work *w = static_cast<Work *>(arg);

	for (size_t i = 0; i < NR; i++)
		w->blocks[i] = filled(size_of(i));
	w->pages = filled(PAGES);
	w->kept = filled(100);
	w->kept_pages = filled(PAGES);
	if (w->keeps)
		w->err = lethe_keep(w->kept) | lethe_keep(w->kept_pages);
	if (w->frees)
		for (size_t i = 0; i < NR; i += 2)
			lethe_free(w->blocks[i]);
	if (w->throws)
		throw std::runtime_error("from inside");
	if (w->jumps)
		std::longjmp(outside, 1);
}

static int run(unsigned int flags, void (*fn)(void *), void *arg)
{
	lethe_options options = {};

	options.size = sizeof(options);
	options.flags = flags;
	report = {};
	report.size = sizeof(report);
	return lethe_do_with(&options, fn, arg, &report);
}

/* Outside of a section lethe_keep() changes nothing, and says no more than that. */
static bool lives(void *block)
{
	return lethe_keep(block) == 0;
}

static size_t living(Work &w)
{
	size_t n = lives(w.pages);

	for (char *block : w.blocks)
		n += lives(block);
	return n;
}

static void free_all(Work &w)
{
	for (char *block : w.blocks)
		lethe_free(block);
	lethe_free(w.pages);
	lethe_free(w.kept);
	lethe_free(w.kept_pages);
}

static void test_return()
{
	Work w = {};
	size_t asked = PAGES * 2 + 100;

	for (size_t i = 0; i < NR; i++)
		asked += size_of(i);
	tap_ok(!run(0, work, &w) && living(w) == NR + 1 && report.blocks_live == NR + 3 &&
		       !report.heap_wiped,
	       "control: without the flag all blocks live on, and are counted");
	free_all(w);

	w = {};
	w.keeps = true;
	run(LETHE_SCOPED_HEAP, work, &w);
	tap_ok(!w.err && living(w) == 0, "with it none but the kept do");
	tap_ok(lives(w.kept) && lives(w.kept_pages) && all_are(w.kept, 0x5a, 100) &&
		       all_are(w.kept_pages, 0x5a, PAGES),
	       "the kept are as they were");
	tap_ok(report.blocks_live == 2 && report.heap_wiped >= asked - PAGES - 100,
	       "the report has two live blocks, and the rest as wiped");
	lethe_free(w.kept);
	lethe_free(w.kept_pages);

	w = {};
	w.frees = true;
	run(LETHE_SCOPED_HEAP, work, &w);
	tap_ok(living(w) == 0 && !lives(w.kept) && report.blocks_live == 0,
	       "what the section itself freed is not freed twice");
}

/* What lies beside a kept block, in its page, is all that it left there. */
static void test_wiped()
{
	static char *kept, *beside;
	bool dirty;
	auto fn = [](void *) {
		beside = filled(64);
		kept = filled(64);
		lethe_keep(kept);
	};

	run(0, fn, nullptr);
	dirty = !all_are(beside, 0, 64);
	lethe_free(beside);
	lethe_free(kept);
	run(LETHE_SCOPED_HEAP, fn, nullptr);
	/* The page is there, for the sake of the kept one. */
	tap_ok(dirty && beside + 64 == kept && all_are(beside, 0, 64) &&
		       all_are(kept, 0x5a, 64),
	       "a freed block is zero, where without the flag it is as it was written");
	lethe_free(kept);
}

static void test_ways_out()
{
	Work w = {};
	bool caught = false;

	w.throws = true;
	try {
		run(LETHE_SCOPED_HEAP, work, &w);
	} catch (const std::runtime_error &error) {
		caught = !std::strcmp(error.what(), "from inside");
	}
	tap_ok(caught && living(w) == NR + 1,
	       "an exception out of it arrives, and the blocks it may carry live on");
	free_all(w);

	w = {};
	w.jumps = true;
	if (!setjmp(outside))
		run(LETHE_SCOPED_HEAP, work, &w);
	/* lethe_keep() would keep it: it is still that section's. */
	tap_ok(lethe_usable_size(w.kept) >= 100 && all_are(w.kept, 0x5a, 100),
	       "control: a longjmp() out of it frees nothing yet");
	lethe_wipe_thread();
	tap_ok(living(w) == 0 && !lives(w.kept),
	       "lethe_wipe_thread() after it frees them all");
}

static void *end_inside(void *arg)
{
	auto fn = [](void *) { pthread_exit(filled(100)); };

	run(LETHE_SCOPED_HEAP, fn, arg);
	return nullptr;
}

static void test_pthread_exit()
{
	pthread_t thread;
	void *result = nullptr;

	pthread_create(&thread, nullptr, end_inside, nullptr);
	pthread_join(thread, &result);
	tap_ok(result && lives(result) && all_are(static_cast<char *>(result), 0x5a, 100),
	       "what pthread_exit() in it returns is there to be joined");
	lethe_free(result);
}

static void *free_one(void *block)
{
	lethe_free(block);
	return nullptr;
}

static void test_other_heaps()
{
	static char *before, *grown, *moved, *others, *paused;
	auto fn = [](void *) {
		pthread_t thread;

		lethe_free(before);
		moved = static_cast<char *>(lethe_realloc(grown, 5000));
		others = filled(200);
		pthread_create(&thread, nullptr, free_one, others);
		pthread_join(thread, nullptr);
		lethe_pause();
		paused = filled(48);
		lethe_resume();
	};

	before = filled(100);
	grown = filled(100);
	run(LETHE_SCOPED_HEAP, fn, nullptr);
	tap_ok(!lives(before) && !lives(grown),
	       "it may free and move blocks from before it");
	tap_ok(!lives(moved), "what a block from before moved to is the section's own");
	tap_ok(!lives(others), "another thread may free its blocks");
	tap_ok(!lives(paused),
	       "a lethe_malloc() while it is paused is the section's too");

	before = filled(100);
	run(
		LETHE_SCOPED_HEAP, [](void *) {}, nullptr);
	tap_ok(lives(before) && all_are(before, 0x5a, 100),
	       "blocks from before it are none of its business");
	lethe_free(before);
}

static void test_nesting()
{
	static char *inner, *outer;
	auto in_inner = [](void *) { inner = filled(100); };
	static auto inner_fn = +in_inner;
	auto in_outer = [](void *) {
		run(LETHE_SCOPED_HEAP, inner_fn, nullptr);
		outer = filled(100);
	};

	run(0, in_outer, nullptr);
	tap_ok(lives(inner) && lives(outer),
	       "in a section without the flag, it says nothing");
	lethe_free(inner);
	lethe_free(outer);
	run(LETHE_SCOPED_HEAP, in_outer, nullptr);
	tap_ok(!lives(inner) && !lives(outer),
	       "the outermost section's end is the blocks'");
}

static void test_keep()
{
	static int nothing, ordinary, inside, dead;
	auto fn = [](void *) {
		char *p = filled(100);

		nothing = lethe_keep(nullptr);
		ordinary = lethe_keep(&ordinary);
		inside = lethe_keep(p + 16);
		lethe_free(p);
		dead = lethe_keep(p);
	};
	char *p;

	static char *first, *second;
	auto again = [](void *) {
		first = filled(100);
		lethe_keep(first);
		lethe_free(first);
		second = filled(100);
	};

	run(LETHE_SCOPED_HEAP, again, nullptr);
	tap_ok(first == second && !lives(second),
	       "a block in the place of a kept one that was freed is not kept");
	run(LETHE_SCOPED_HEAP, fn, nullptr);
	tap_ok(nothing == -EINVAL && ordinary == -EINVAL && inside == -EINVAL &&
		       dead == -EINVAL,
	       "lethe_keep() of what is no live block is -EINVAL");
	p = filled(100);
	tap_ok(lethe_keep(p) == 0, "of one that lives on anyway it is no error");
	lethe_free(p);
}

static const size_t ROUNDS = 2000;

/* A thousand heaps come and go; none of them is left behind. */
static void test_many()
{
	static size_t full;
	auto fn = [](void *) {
		for (size_t size = 1; size < 3000; size = size * 2 + 7)
			full += !filled(size);
	};

	for (size_t i = 0; i < ROUNDS; i++)
		run(LETHE_SCOPED_HEAP, fn, nullptr);
	lethe_trim();
	tap_ok(!full && report.blocks_live == 0, "%zu such sections leave nothing",
	       ROUNDS);
}

/* Whose block another thread frees at the very moment that the section ends. */
struct Race {
	char *block[64];
	size_t n;
	pthread_barrier_t ready;
};

static void *free_them(void *arg)
{
	Race *race = static_cast<Race *>(arg);

	pthread_barrier_wait(&race->ready);
	for (char *block : race->block)
		lethe_free(block);
	return nullptr;
}

static int race_ends(void *)
{
	auto fn = [](void *arg) {
		Race *race = static_cast<Race *>(arg);

		for (char *&block : race->block) {
			block = filled(1 + 37 * (race->n++ % 64));
			lethe_keep(block);
		}
		pthread_barrier_wait(&race->ready);
	};

	for (size_t i = 0; i < 200; i++) {
		Race race = {};
		pthread_t thread;

		pthread_barrier_init(&race.ready, nullptr, 2);
		pthread_create(&thread, nullptr, free_them, &race);
		run(LETHE_SCOPED_HEAP, fn, &race);
		pthread_join(thread, nullptr);
		for (char *block : race.block)
			if (lives(block))
				return 1;
	}
	return 0;
}

static void test_race()
{
	tap_ok(race_ends(nullptr) == 0,
	       "kept blocks may be freed by another thread as the section ends");
}

static int resume_alone(void *)
{
	return lethe_do([](void *) { lethe_resume(); }, nullptr);
}

static void test_pause()
{
	static bool in, paused, nested, twice, again;
	auto fn = [](void *) {
		in = lethe_enabled();
		lethe_pause();
		paused = lethe_enabled();
		lethe_do([](void *) { nested = lethe_enabled(); }, nullptr);
		lethe_pause();
		lethe_resume();
		twice = lethe_enabled();
		lethe_resume();
		again = lethe_enabled();
		lethe_pause();
	};
	ended ended;

	lethe_pause();
	run(0, fn, nullptr);
	tap_ok(in && !paused && nested && !twice && again,
	       "lethe_pause() holds until lethe_resume(), nests, and not for a section in it");
	lethe_resume();
	run(0, fn, nullptr);
	tap_ok(in && !paused, "the end of a section resumes");
	run_child(resume_alone, nullptr, &ended);
	tap_ok(killed_by(&ended, SIGABRT) && lines_with(&ended, "lethe_resume()") == 1,
	       "lethe_resume() without lethe_pause() aborts with a message: %s",
	       how_ended(&ended));
}

int main()
{
	tap_plan(25);
	test_return();
	test_wiped();
	test_ways_out();
	test_pthread_exit();
	test_other_heaps();
	test_nesting();
	test_keep();
	test_many();
	test_race();
	test_pause();
	return tap_end();
}
