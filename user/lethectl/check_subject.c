// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The subject of lethectl check: a process in a secret section, with a secret on the
 * section's stack and heap and decoys in ordinary memory. It sleeps while its memory is
 * pressed, and then looks whether all is what it was. The secret never leaves it.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "lethectl.h"

#define PAGE 4096
#define SECRET 32
#define ON_STACK (64 * PAGE)
#define ON_HEAP (256 * PAGE)
#define STACK_SIZE (ON_STACK + 32 * PAGE)

/* What the section is handed. */
struct place {
	const struct check *check;
	struct frames *frames;
	struct subject *said;
	int fd;
	unsigned char *decoys;
	uint64_t seed;
};

static int fail(struct subject *said, const char *what, int err)
{
	snprintf(said->failed, sizeof(said->failed), "%s: %s", what, strerror(err));
	return -err;
}

/*
 * Half a page of noise and half a page of one word: no page is like another, none is all
 * the same, and each compresses well enough that zswap takes it.
 */
static void decoy_page(uint64_t *page, uint64_t seed, size_t number)
{
	uint64_t noise = seed ^ (number + 1) * 0x9e3779b97f4a7c15;
	size_t i;

	for (i = 0; i < PAGE / sizeof(*page); i++) {
		if (i < PAGE / sizeof(*page) / 2) {
			noise ^= noise << 13;
			noise ^= noise >> 7;
			noise ^= noise << 17;
		}
		page[i] = noise;
	}
}

static unsigned char *map_ordinary(size_t length)
{
	unsigned char *map = mmap(NULL, length, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	/* Page by page is how they are counted. */
	if (map != MAP_FAILED)
		madvise(map, length, MADV_NOHUGEPAGE);
	return map == MAP_FAILED ? NULL : map;
}

/* The caller's first copy is the pattern of all others. */
static void repeat(unsigned char *to, size_t length, const unsigned char *secret)
{
	size_t at;

	for (at = 0; at < length; at += SECRET)
		memcpy(to + at, secret, SECRET);
}

static bool repeats(const unsigned char *from, size_t length, const unsigned char *secret)
{
	bool same = true;
	size_t at;

	for (at = 0; at < length; at += SECRET)
		same &= lethe_equal(from + at, secret, SECRET);
	return same;
}

static void wait_for(struct place *place, enum subject_step step)
{
	unsigned char byte;

	/* Whoever is to say it is gone, and nobody else may: so is this one. */
	if (read(place->fd, &byte, 1) != 1 || byte != step)
		_exit(STATUS_UNKNOWN);
}

static void answer(struct place *place, enum subject_step step)
{
	unsigned char byte = (unsigned char)step;

	if (write(place->fd, &byte, 1) != 1)
		_exit(STATUS_UNKNOWN);
}

static int mark_pages(struct place *place, const unsigned char *from, size_t length,
		      unsigned int bits)
{
	size_t at;
	int err;

	for (at = 0; at < length; at += PAGE) {
		err = frames_mark(place->frames, from + at, bits);
		if (err)
			return fail(place->said, "a page's frame cannot be marked", -err);
		place->said->marked++;
	}
	return 0;
}

static size_t intact_decoys(const struct place *place)
{
	static uint64_t page[PAGE / sizeof(uint64_t)];
	size_t i, intact = 0;

	for (i = 0; i < place->check->decoys; i++) {
		decoy_page(page, place->seed, i);
		intact += !memcmp(page, place->decoys + i * PAGE, PAGE);
	}
	return intact;
}

/* With the secret in all of [stack] and [heap], the same 32 bytes over and over. */
static void be_pressed(struct place *place, unsigned char *stack, unsigned char *heap)
{
	struct subject *said = place->said;
	bool ordinary = place->check->ordinary;

	said->secret_pages = (ON_STACK + ON_HEAP) / PAGE;
	said->level = lethe_level_of(stack);
	if (lethe_level_of(heap) != said->level || (!ordinary && !said->level)) {
		fail(said, "the section is not on secret memory", EOPNOTSUPP);
		return;
	}
	answer(place, SUBJECT_FILL);

	wait_for(place, SUBJECT_MARK);
	if (mark_pages(place, place->decoys, place->check->decoys * PAGE, FRAME_DECOY))
		return;
	/* What would be secret. Each frame is of two kinds then: it is of none. */
	if (ordinary && (mark_pages(place, stack, ON_STACK, FRAME_MEMFD | FRAME_LOCKED) ||
			 mark_pages(place, heap, ON_HEAP, FRAME_MEMFD | FRAME_LOCKED)))
		return;
	answer(place, SUBJECT_MARK);

	wait_for(place, SUBJECT_VERIFY);
	said->decoys_intact = intact_decoys(place);
	said->secret_intact = repeats(stack, ON_STACK, stack) &&
			      repeats(heap, ON_HEAP, stack);
	answer(place, SUBJECT_VERIFY);
}

static void section(void *arg)
{
	unsigned char room[ON_STACK + PAGE];
	unsigned char *stack = (void *)(((uintptr_t)room + PAGE - 1) & -(uintptr_t)PAGE);
	unsigned char *heap = lethe_aligned_alloc(PAGE, ON_HEAP);
	struct place *place = arg;

	if (!heap) {
		fail(place->said, "the secret heap has no room", errno);
		return;
	}
	if (getrandom(stack, SECRET, 0) != SECRET) {
		fail(place->said, "getrandom", errno);
	} else {
		repeat(stack + SECRET, ON_STACK - SECRET, stack);
		repeat(heap, ON_HEAP, stack);
		be_pressed(place, stack, heap);
	}
	lethe_free(heap);
}

/* The same in ordinary memory, and no section: what must be found. */
static void no_section(struct place *place)
{
	unsigned char *stack = map_ordinary(ON_STACK), *heap = map_ordinary(ON_HEAP);

	if (!stack || !heap || getrandom(stack, SECRET, 0) != SECRET) {
		fail(place->said, "ordinary memory", errno);
		return;
	}
	repeat(stack + SECRET, ON_STACK - SECRET, stack);
	repeat(heap, ON_HEAP, stack);
	strcpy(place->said->backend, "none");
	be_pressed(place, stack, heap);
}

static int run_section(struct place *place)
{
	const struct lethe_options options = {
		.size = sizeof(options),
		.flags = LETHE_REFUSE_FORK,
		.stack_size = STACK_SIZE,
	};
	const char *name = place->check->backend, *backend;
	int err;

	if (name && setenv("LETHE_BACKEND", name, 1))
		return fail(place->said, "environment", errno);
	backend = lethe_backend();
	if (!backend)
		return fail(place->said, "there is no secret memory as it is asked for",
			    errno);
	snprintf(place->said->backend, sizeof(place->said->backend), "%s", backend);
	err = lethe_do_with(&options, section, place, NULL);
	return err ? fail(place->said, "no secret section", -err) : 0;
}

static void fill(struct place *place)
{
	const struct check *check = place->check;
	size_t i;
	int err;

	if (check->pressure.version) {
		err = cgroup_enter(check->guarded);
		if (err) {
			fail(place->said, "the cgroup cannot be entered", -err);
			return;
		}
	}
	place->decoys = map_ordinary(check->decoys * PAGE);
	if (!place->decoys ||
	    getrandom(&place->seed, sizeof(place->seed), 0) != sizeof(place->seed)) {
		fail(place->said, "decoys", errno);
		return;
	}
	for (i = 0; i < check->decoys; i++)
		decoy_page((uint64_t *)(place->decoys + i * PAGE), place->seed, i);
	place->said->decoys = check->decoys;
	place->said->decoy = (uintptr_t)place->decoys;
	if (check->ordinary)
		no_section(place);
	else
		run_section(place);
}

static void __attribute__((noreturn)) run_subject(struct place *place, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* It has a secret: no dump of it, whatever happens. */
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	prctl(PR_SET_NAME, "lethectl-check");
	guard_leave();
	if (getppid() == parent) {
		fill(place);
		_exit(place->said->failed[0] ? STATUS_UNKNOWN : 0);
	}
	_exit(STATUS_UNKNOWN);
}

struct subject *subject_start(const struct check *check, struct frames *frames)
{
	struct subject *said = mmap(NULL, sizeof(*said), PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct place place = { .check = check, .frames = frames, .said = said };
	pid_t self = getpid(), pid;
	int fds[2];

	if (said == MAP_FAILED ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		return NULL;
	pid = fork();
	if (!pid) {
		close(fds[0]);
		place.fd = fds[1];
		run_subject(&place, self);
	}
	close(fds[1]);
	if (pid < 0)
		return NULL;
	said->pid = check->guarded->subject = pid;
	said->fd = fds[0];
	return said;
}

/* The guard forgets it first: the number may be somebody else's once it is reaped. */
static int reap(struct check *check)
{
	int status = 0;

	check->guarded->subject = 0;
	while (waitpid(check->subject->pid, &status, 0) < 0 && errno == EINTR)
		;
	check->subject->pid = 0;
	return status;
}

/* It has ended, and should not have. */
static int died(struct check *check)
{
	struct subject *subject = check->subject;
	int status = reap(check);

	if (!subject->failed[0])
		snprintf(subject->failed, sizeof(subject->failed),
			 "the process that had the secret was ended by %s %d",
			 WIFSIGNALED(status) ? "signal" : "itself, with status",
			 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	return -ECHILD;
}

int subject_step(struct check *check, enum subject_step step, int timeout_ms)
{
	struct subject *subject = check->subject;
	struct pollfd poll_fd = { .fd = subject->fd, .events = POLLIN };
	unsigned char byte = (unsigned char)step;
	int n;

	/* The first begins by itself. */
	if (step != SUBJECT_FILL && send(subject->fd, &byte, 1, MSG_NOSIGNAL) != 1)
		return died(check);
	do {
		n = poll(&poll_fd, 1, timeout_ms);
	} while (n < 0 && errno == EINTR);
	if (!n) {
		snprintf(subject->failed, sizeof(subject->failed),
			 "the process that has the secret does not answer");
		return -ETIMEDOUT;
	}
	if (recv(subject->fd, &byte, 1, 0) != 1 || byte != step)
		return died(check);
	return 0;
}

void subject_end(struct check *check)
{
	if (!check->subject || !check->subject->pid)
		return;
	kill(check->subject->pid, SIGKILL);
	reap(check);
}
