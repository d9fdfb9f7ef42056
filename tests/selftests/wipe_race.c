// SPDX-License-Identifier: MIT
/*
 * The wipe call of a process's threads by each other, while they do what threads do:
 * call deep, take signals on either stack, sleep, change their memory, fork, come and
 * go. Whatever is wiped is dead, and every word that is not is looked at.
 *
 * LETHE_RACE_SECONDS says how long.
 */
#include <pthread.h>
#include <sched.h>

#include "door.h"
#include "race.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

#define SECONDS 10
#define TICK_NS 1000000
#define DEPTH 200
#define HANDLER_DEPTH 20
#define SIGNAL_STACK (64 * 1024)

/*
 * Far below where the kernel puts mappings by itself, so that what is given up here
 * does not become somebody else's. Each arena has two places for one slot.
 */
#define ARENAS ((uintptr_t)1 << 44)
#define ARENA_SPAN ((uintptr_t)1 << 24)
#define NR_ARENAS 2
#define SLOT_PAGES ((size_t)32)
#define SLOT (SLOT_PAGES * PAGE)
#define LIVE_PAGES 16 /* of which the first half is live; of the others nothing */
#define LIVE_BYTES (PAGE / 2)
#define JUNK 0x6a756e6b6a756e6bULL

enum what { FRAMES, VECTORS, SIGNALS, MEMORY, CHILDREN, TALK, THREADS, NR_WHAT };

/* How often each was looked at, and how many words of it were not what they were. */
static atomic_ulong looked[NR_WHAT], bad[NR_WHAT];

enum { ABOVE = 1, ASIDE = 2 };

struct racer {
	void (*step)(struct racer *);
	unsigned int signals; /* of a timer: ABOVE on its own stack, ASIDE on another */
	int arena;
	uint64_t random;
	unsigned char *slot;
	uint64_t number; /* of a message, or of what a slot is filled with */
	atomic_int tid;
};

static atomic_bool ending;
static int talk[2];
static struct racer racers[];
static const unsigned int nr_racers;

static void look(enum what what, unsigned int wrong)
{
	looked[what]++;
	bad[what] += wrong;
}

static void call_deep(struct racer *self)
{
	uint64_t seed = race_random(&self->random);

	look(FRAMES, race_recurse(seed % DEPTH, seed, race_red_zone));
}

static void hold_vectors(struct racer *self)
{
	look(VECTORS, race_vectors(race_random(&self->random)));
}

static void on_signal(int signal)
{
	look(SIGNALS, race_recurse(HANDLER_DEPTH, signal, race_red_zone));
}

static unsigned char *place(const struct racer *self, int which)
{
	return (unsigned char *)(ARENAS + self->arena * ARENA_SPAN + which * 4 * SLOT);
}

static uint64_t live_word(const struct racer *self, size_t page, size_t word)
{
	return self->number << 32 ^ (page << 16 | word);
}

static void fill_dead(const struct racer *self, size_t from)
{
	uint64_t *words = (uint64_t *)self->slot;

	for (size_t page = from; page < SLOT_PAGES; page++)
		for (size_t at = page < LIVE_PAGES ? LIVE_BYTES : 0; at < PAGE; at += 8)
			words[(page * PAGE + at) / 8] = JUNK;
}

static void make_slot(struct racer *self, unsigned char *where)
{
	uint64_t *words = (uint64_t *)where;

	if (mmap(where, SLOT, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != where)
		tap_bail("mmap: %s", strerror(errno));
	self->slot = where;
	self->number++;
	for (size_t page = 0; page < LIVE_PAGES; page++)
		for (size_t word = 0; word < LIVE_BYTES / 8; word++)
			words[page * PAGE / 8 + word] = live_word(self, page, word);
	fill_dead(self, 0);
}

/* What is live is as it was; what is dead is that, or wiped. */
static unsigned int slot_bad(const struct racer *self)
{
	const volatile uint64_t *words = (uint64_t *)self->slot;
	unsigned int wrong = 0;

	for (size_t page = 0; page < SLOT_PAGES; page++) {
		for (size_t word = 0; word < PAGE / 8; word++) {
			uint64_t is = words[page * PAGE / 8 + word];

			if (page < LIVE_PAGES && word < LIVE_BYTES / 8)
				wrong += is != live_word(self, page, word);
			else
				/* A range may begin inside of a word. */
				wrong += (is & ~JUNK) != 0;
		}
	}
	return wrong;
}

static void fork_with_slot(const struct racer *self)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		tap_bail("fork: %s", strerror(errno));
	if (!pid)
		_exit(slot_bad(self) ? 1 : 0);
	while (waitpid(pid, &status, 0) != pid)
		if (errno != EINTR)
			tap_bail("waitpid: %s", strerror(errno));
	look(CHILDREN, status != 0);
}

static void change_memory(struct racer *self)
{
	unsigned char *other, *dead;
	int err = 0;

	if (!self->slot)
		make_slot(self, place(self, 0));
	other = place(self, self->slot == place(self, 0));
	dead = self->slot + LIVE_PAGES * PAGE;
	switch (race_random(&self->random) % 8) {
	case 0:
		err = mremap(self->slot, SLOT, SLOT, MREMAP_MAYMOVE | MREMAP_FIXED,
			     other) != other;
		self->slot = other;
		break;
	case 1:
		err = mprotect(self->slot, SLOT, PROT_READ) ||
		      mprotect(self->slot, SLOT, PROT_READ | PROT_WRITE);
		break;
	case 2:
		err = mprotect(dead, PAGE, PROT_NONE) ||
		      mprotect(dead, PAGE, PROT_READ | PROT_WRITE);
		break;
	case 3:
		err = madvise(dead, SLOT - LIVE_PAGES * PAGE, MADV_DONTNEED);
		break;
	case 4:
		err = madvise(self->slot, SLOT, MADV_PAGEOUT);
		break;
	case 5:
		err = munmap(self->slot, SLOT);
		make_slot(self, other);
		break;
	case 6:
		fork_with_slot(self);
		break;
	case 7:
		fill_dead(self, 0);
		break;
	}
	if (err)
		tap_bail("a slot cannot be changed: %s", strerror(errno));
	look(MEMORY, slot_bad(self));
}

/* Through a pipe; who waits for a message or for room is interrupted, and goes on. */
static void send_number(struct racer *self)
{
	self->number++;
	if (write(talk[1], &self->number, sizeof(self->number)) != sizeof(self->number))
		look(TALK, 1);
	if (self->number % 64 == 0)
		usleep(2000);
}

/* To its end, which comes when the race is over. */
static void receive_numbers(struct racer *self)
{
	uint64_t number;
	ssize_t got;

	while ((got = read(talk[0], &number, sizeof(number))))
		look(TALK, got != sizeof(number) || number != ++self->number);
}

/* Not a moment less than was asked for. */
static void sleep_a_while(struct racer *self)
{
	struct timespec length = { .tv_nsec = race_random(&self->random) % 20000000 };
	double before = race_clock();
	int err = nanosleep(&length, NULL);

	look(TALK, err || race_clock() - before < length.tv_nsec / 1e9);
}

static void *be_short(void *arg)
{
	struct racer *self = arg;
	uint64_t seed = race_random(&self->random);

	self->tid = gettid();
	look(THREADS, race_recurse(seed % 16, seed, race_vectors));
	return NULL;
}

static void come_and_go(struct racer *self)
{
	pthread_t thread;
	int err = pthread_create(&thread, NULL, be_short, self);

	if (err)
		tap_bail("pthread_create: %s", strerror(err));
	pthread_join(thread, NULL);
}

/* A dead part of a place where a slot may be, or of what is no more. */
static uint64_t dead_part(uint64_t *random, uint64_t *length)
{
	struct racer any = { .arena = race_random(random) % NR_ARENAS };
	uint64_t start = (uintptr_t)place(&any, race_random(random) % 2);
	uint64_t page = race_random(random) % SLOT_PAGES, skip;

	if (page >= LIVE_PAGES) {
		*length = (SLOT_PAGES - page) * PAGE;
		return start + page * PAGE;
	}
	skip = race_random(random) % (PAGE - LIVE_BYTES);
	*length = PAGE - LIVE_BYTES - skip;
	return start + page * PAGE + LIVE_BYTES + skip;
}

/* Anybody, in any way: another one that wipes, and itself, too. */
static void wipe_any(struct racer *self)
{
	struct racer *whose = &racers[race_random(&self->random) % nr_racers];
	uint32_t flags = 1 + race_random(&self->random) % ALL_FLAGS;
	uint64_t length, start = dead_part(&self->random, &length);

	race_wipe(whose->tid, flags, start, length);
}

static struct racer racers[] = {
	{ call_deep, ABOVE, 0, 1, 0, 0, 0 },
	{ call_deep, ASIDE, 0, 2, 0, 0, 0 },
	{ hold_vectors, 0, 0, 3, 0, 0, 0 },
	{ hold_vectors, ASIDE, 0, 4, 0, 0, 0 },
	{ change_memory, 0, 0, 5, 0, 0, 0 },
	{ change_memory, ABOVE, 1, 6, 0, 0, 0 },
	{ send_number, 0, 0, 7, 0, 0, 0 },
	{ receive_numbers, 0, 0, 8, 0, 0, 0 },
	{ sleep_a_while, 0, 0, 9, 0, 0, 0 },
	{ come_and_go, 0, 0, 10, 0, 0, 0 },
	{ wipe_any, 0, 0, 11, 0, 0, 0 },
	{ wipe_any, 0, 0, 12, 0, 0, 0 },
	{ wipe_any, ABOVE | ASIDE, 0, 13, 0, 0, 0 },
};
static const unsigned int nr_racers = sizeof(racers) / sizeof(racers[0]);

static void tick(int signal)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID,
				  .sigev_signo = signal };
	struct itimerspec every = { { 0, TICK_NS }, { 0, TICK_NS } };
	timer_t timer;

	event.sigev_notify_thread_id = gettid();
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) ||
	    timer_settime(timer, 0, &every, NULL))
		tap_bail("a timer: %s", strerror(errno));
}

static void *race(void *arg)
{
	struct racer *self = arg;
	stack_t stack = { .ss_size = SIGNAL_STACK };

	stack.ss_sp = must_map_plain(SIGNAL_STACK);
	if (sigaltstack(&stack, NULL))
		tap_bail("sigaltstack: %s", strerror(errno));
	self->random *= 0x9e3779b97f4a7c15ULL;
	self->tid = gettid();
	if (self->signals & ABOVE)
		tick(SIGUSR1);
	if (self->signals & ASIDE)
		tick(SIGUSR2);
	while (!ending)
		self->step(self);
	if (self->step == send_number)
		close(talk[1]);
	return NULL;
}

static void report(enum what what, const char *guarantee)
{
	tap_ok(looked[what] && !bad[what], "%s (%lu times; %lu wrong)", guarantee,
	       (unsigned long)looked[what], (unsigned long)bad[what]);
}

int main(void)
{
	struct sigaction above = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct sigaction aside = above;
	pthread_t threads[sizeof(racers) / sizeof(racers[0])];
	double end = race_clock() + race_seconds(SECONDS);

	door_open();
	aside.sa_flags |= SA_ONSTACK;
	if (pipe(talk) || sigaction(SIGUSR1, &above, NULL) ||
	    sigaction(SIGUSR2, &aside, NULL))
		tap_bail("cannot begin: %s", strerror(errno));
	tap_plan(9);
	for (unsigned int i = 0; i < nr_racers; i++)
		if (pthread_create(&threads[i], NULL, race, &racers[i]))
			tap_bail("pthread_create failed");
	while (race_clock() < end)
		usleep(50 * 1000);
	ending = true;
	for (unsigned int i = 0; i < nr_racers; i++)
		pthread_join(threads[i], NULL);

	race_report("threads that wipe each other");
	report(FRAMES, "frames that are live, and the red zone, are left alone");
	report(VECTORS, "vector registers hold what they held");
	report(SIGNALS, "a handler's frames are left alone, on either stack");
	report(MEMORY, "beside a range that is wiped, nothing is, as it moves and goes");
	report(CHILDREN, "a child has what was not wiped before its fork");
	report(TALK, "who sleeps in a system call goes on with it");
	report(THREADS, "a thread that is about to begin or to end is left alone");
	return tap_end();
}
