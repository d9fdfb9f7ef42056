// SPDX-License-Identifier: MIT
/*
 * That the set of secret frames has those of each backend as they come, those that
 * were there before, and none that is gone; and says whose they are. Ordinary pages
 * beside them are the control: never in it.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "../selftests/tap.h"
#include "frames.h"
#include "secrets.h"

#define PAGES 32
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static struct layout layout;
static struct frames *frames;

static const unsigned int kinds[BACKENDS] = { FRAME_KMOD, FRAME_MEMFD, FRAME_LOCKED };

static void open_frames(void)
{
	const char *why;

	if (frames_open(&frames, &layout, &why))
		tap_bail("frames: %s", why);
}

static struct frames_total total(void)
{
	struct frames_total sum;

	frames_total(frames, &sum);
	return sum;
}

/* How many of them have @kind, and no other. */
static unsigned int in_set(const unsigned long long *frame, size_t nr, unsigned int kind)
{
	unsigned int found = 0;
	size_t i;

	for (i = 0; i < nr; i++)
		found += frames_kind(frames, frame[i]) == kind;
	return found;
}

static bool is_holder(pid_t pid, unsigned int backend, unsigned long long pages)
{
	struct frames_holder *holder;
	int nr = frames_holders(frames, &holder), i;
	bool found = false;

	for (i = 0; i < nr; i++)
		found |= holder[i].pid == pid && holder[i].pages[backend] == pages &&
			 !strncmp(holder[i].command, "frames_test", 11);
	free(holder);
	return found;
}

static unsigned int noted(pid_t pid)
{
	unsigned int key = pid, bits = 0;

	bpf_map_lookup_elem(frames_holders_fd(frames), &key, &bits);
	return bits;
}

/* What is freed may be kept back for a while in lists of the kernel. */
static unsigned int left_after_a_while(const unsigned long long *frame, size_t nr,
				       unsigned int kind)
{
	unsigned int left, tries;

	for (tries = 0; tries < 20; tries++) {
		left = in_set(frame, nr, kind);
		if (!left)
			break;
		drain_lists();
		usleep(50000);
	}
	return left;
}

static void comes_and_goes(enum backend backend)
{
	unsigned long long frame[PAGES], plain[PAGES];
	struct pages pages, ordinary;
	unsigned int seen;

	if (!secret_make(&pages, backend, PAGES)) {
		tap_skip("no such backend here", "%s", backend_names[backend]);
		tap_skip("no such backend here", "%s", backend_names[backend]);
		tap_skip("no such backend here", "%s", backend_names[backend]);
		return;
	}
	ordinary_make(&ordinary, PAGES);
	pages_frames(&ordinary, plain);
	pages_frames(&pages, frame);
	if (backend == LOCKED)
		seen = frames_settle(frames) >= 1 ? in_set(frame, PAGES, FRAME_LOCKED) :
						    0;
	else
		seen = in_set(frame, PAGES, kinds[backend]);
	tap_ok(seen == PAGES && in_set(plain, PAGES, 0) == PAGES,
	       "%s: each of %d pages is in the set %s, and no ordinary one",
	       backend_names[backend], PAGES,
	       backend == LOCKED ? "when it is told to settle" : "at once");
	frames_settle(frames);
	tap_ok(is_holder(getpid(), backend, PAGES) && noted(getpid()) & kinds[backend],
	       "%s: and this process is their holder", backend_names[backend]);
	pages_drop(&pages);
	seen = left_after_a_while(frame, PAGES, kinds[backend]);
	tap_ok(!seen, "%s: none is when it was given back", backend_names[backend]);
	pages_drop(&ordinary);
	frames_refresh(frames, 0);
}

/* Made before anybody looks. */
static void was_there_before(void)
{
	unsigned long long frame[BACKENDS][PAGES], address;
	struct pages pages[BACKENDS];
	unsigned int backend, made = 0, seen = 0, owned = 0, i;

	frames_close(frames);
	for (backend = KMOD; backend < BACKENDS; backend++) {
		if (!secret_make(&pages[backend], backend, PAGES))
			continue;
		pages_frames(&pages[backend], frame[backend]);
		made++;
	}
	open_frames();
	for (backend = KMOD; backend < BACKENDS; backend++) {
		if (!pages[backend].at)
			continue;
		seen += in_set(frame[backend], PAGES, kinds[backend]);
		for (i = 0; backend != KMOD && i < PAGES; i++)
			owned += frames_owner(frames, frame[backend][i], &address) ==
					 getpid() &&
				 address == (unsigned long)pages[backend].at + i * PAGE;
		pages_drop(&pages[backend]);
	}
	tap_ok(made >= 2 && seen == made * PAGES,
	       "%u pages of %u backends that were there before are in the set", seen,
	       made);
	tap_ok(owned >= 2 * PAGES, "and whose %u are, and where", owned);
	frames_refresh(frames, 0);
}

/* Locked, and no secret: it lacks the advice of a backend. */
static void only_locked(void)
{
	unsigned long long frame[PAGES];
	struct pages pages;

	ordinary_make(&pages, PAGES);
	mlock(pages.at, PAGES * PAGE);
	frames_settle(frames);
	pages_frames(&pages, frame);
	tap_ok(in_set(frame, PAGES, 0) == PAGES,
	       "what is locked and no more is not secret");
	madvise(pages.at, PAGES * PAGE, MADV_DONTDUMP);
	madvise(pages.at, PAGES * PAGE, MADV_DONTFORK);
	frames_settle(frames);
	tap_ok(in_set(frame, PAGES, FRAME_LOCKED) == PAGES,
	       "and is when it is kept from dumps and children too");
	munlock(pages.at, PAGES * PAGE);
	frames_settle(frames);
	tap_ok(in_set(frame, PAGES, 0) == PAGES, "and no more when it is unlocked");
	pages_drop(&pages);
}

/* A process that has secret pages, says which, and is killed. */
static void of_another(void)
{
	struct {
		unsigned long long frame[BACKENDS][PAGES], at[BACKENDS];
		unsigned int made;
	} said, *there = &said;
	unsigned int backend, seen = 0;
	struct pages pages;
	bool at = true;
	int channel[2], end[2];
	pid_t child;

	memset(there, 0, sizeof(said));
	if (pipe(channel) || pipe(end))
		tap_bail("no pipe");
	fflush(stdout);
	child = fork();
	if (!child) {
		for (backend = KMOD; backend < BACKENDS; backend++) {
			if (!secret_make(&pages, backend, PAGES))
				continue;
			pages_frames(&pages, there->frame[backend]);
			there->at[backend] = (unsigned long)pages.at;
			there->made++;
		}
		if (write(channel[1], there, sizeof(said)) != sizeof(said))
			_exit(1);
		pause();
		_exit(0);
	}
	if (read(channel[0], there, sizeof(said)) != sizeof(said))
		tap_bail("the child is gone");
	frames_settle(frames);
	for (backend = KMOD; backend < BACKENDS; backend++) {
		if (!there->at[backend])
			continue;
		seen += in_set(there->frame[backend], PAGES, kinds[backend]);
		at &= frames_at(frames, child, there->at[backend] + PAGE, 1) ==
			      kinds[backend] &&
		      is_holder(child, backend, PAGES);
	}
	tap_ok(there->made >= 2 && seen == there->made * PAGES && at,
	       "another process's %u pages are in the set, and it is their holder", seen);
	tap_ok(noted(child) && !frames_at(frames, getpid(), there->at[LOCKED], PAGE),
	       "and nobody else has anything there");
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	for (backend = KMOD, seen = 0; backend < BACKENDS; backend++) {
		if (there->at[backend])
			seen += left_after_a_while(there->frame[backend], PAGES,
						   kinds[backend]);
	}
	tap_ok(!seen && !noted(child), "killed, it leaves none in the set");
	tap_ok(frames_refresh(frames, child) == -ESRCH,
	       "and to look at it again is ESRCH");
	frames_settle(frames);
	tap_ok(!is_holder(child, LOCKED, PAGES), "and it holds nothing");
	close(channel[0]);
	close(channel[1]);
	close(end[0]);
	close(end[1]);
}

static void at_edges(void)
{
	unsigned long at;
	struct pages pages;

	secret_make(&pages, LOCKED, 2);
	at = (unsigned long)pages.at;
	tap_ok(frames_at(frames, getpid(), at, 1) &&
		       frames_at(frames, getpid(), at - 1, 2) &&
		       frames_at(frames, getpid(), at + 2 * PAGE - 1, 1) &&
		       frames_at(frames, getpid(), 0, ~0ULL) &&
		       !frames_at(frames, getpid(), at - 1, 1) &&
		       !frames_at(frames, getpid(), at + 2 * PAGE, 1) &&
		       !frames_at(frames, getpid(), at, 0),
	       "a range touches a mapping from its first byte to its last");
	pages_drop(&pages);
}

static void marks(void)
{
	unsigned long long frame;
	struct pages pages;
	char *none = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	ordinary_make(&pages, 1);
	frame = page_frame(pages.at);
	tap_ok(frames_mark(frames, none, FRAME_DECOY) == -ENODATA &&
		       frames_mark(frames, pages.at, FRAME_SECRET) == -EINVAL &&
		       !frames_mark(frames, pages.at, FRAME_DECOY) &&
		       frames_kind(frames, frame) == FRAME_DECOY && total().decoys == 1,
	       "a page is marked as a decoy, one that is not there is ENODATA; as the module's none is");
	tap_ok(!frames_unmark(frames, frame, FRAME_DECOY) &&
		       !frames_kind(frames, frame) &&
		       frames_unmark(frames, layout.frames + 8, FRAME_DECOY) == -ERANGE,
	       "and the mark is taken away again");
	frames_mark(frames, pages.at, FRAME_DECOY);
	pages_drop(&pages);
	tap_ok(!left_after_a_while(&frame, 1, FRAME_DECOY),
	       "and goes with the page when it is freed");
	munmap(none, PAGE);
}

/* Makes and gives back regions as fast as it can. */
static void *churn(void *stop)
{
	struct pages pages;

	while (!__atomic_load_n((bool *)stop, __ATOMIC_RELAXED)) {
		if (!secret_make(&pages, KMOD, 8) && !secret_make(&pages, MEMFD, 8))
			break;
		pages_drop(&pages);
	}
	return NULL;
}

static void open_often(const unsigned long long *frame, unsigned int kind,
		       unsigned int *wrong)
{
	unsigned int rounds;

	for (rounds = 0; rounds < 8; rounds++) {
		open_frames();
		frames_refresh(frames, 0);
		*wrong += in_set(frame, PAGES, kind) != PAGES;
		if (rounds < 7)
			frames_close(frames);
	}
}

/*
 * Two others stay open: with them no text of the kernel is changed as one more comes and
 * goes, while the other processor runs there. The virtual machine, whose processors are
 * emulated, now and then runs the breakpoint that stood there meanwhile.
 */
static void under_churn(void)
{
	unsigned int backend, tries, wrong = 0;
	unsigned long long frame[PAGES];
	struct frames *other[2];
	pthread_t thread[2];
	struct pages pages;
	bool stop = false;
	size_t i;

	for (backend = KMOD; backend <= MEMFD; backend++) {
		if (secret_make(&pages, backend, PAGES))
			break;
	}
	if (backend > MEMFD) {
		tap_skip("neither kmod nor memfd_secret", "while regions come and go");
		return;
	}
	pages_frames(&pages, frame);
	frames_close(frames);
	for (i = 0; i < ARRAY_SIZE(other); i++) {
		open_frames();
		other[i] = frames;
	}
	for (i = 0; i < ARRAY_SIZE(thread); i++)
		pthread_create(&thread[i], NULL, churn, &stop);
	open_often(frame, kinds[backend], &wrong);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < ARRAY_SIZE(thread); i++)
		pthread_join(thread[i], NULL);
	for (tries = 0; tries < 20 && total().kmod + total().memfd != PAGES; tries++) {
		drain_lists();
		usleep(50000);
		/* Makes good what no program was run for, which is told as missed. */
		frames_refresh(frames, 0);
	}
	tap_note("kmod %llu, memfd_secret %llu, %llu missed", total().kmod, total().memfd,
		 frames_missed(frames));
	tap_ok(!wrong && total().kmod + total().memfd == PAGES,
	       "opened 8 times while regions come and go, it has those that stay, and no other");
	for (i = 0; i < ARRAY_SIZE(other); i++)
		frames_close(other[i]);
	pages_drop(&pages);
}

static double since(const struct timespec *before)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - before->tv_sec) * 1e6 +
	       (now.tv_nsec - before->tv_nsec) / 1e3;
}

static void read_whole(pid_t pid, const char *name)
{
	char path[64], text[16384];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && read(fd, text, sizeof(text)) > 0)
		;
	close(fd);
}

/* Most processes have nothing secret, and must cost no more than to read it there. */
static void many(void)
{
	struct timespec before;
	double looked, whole;
	pid_t child[200];
	size_t i;

	fflush(stdout);
	for (i = 0; i < ARRAY_SIZE(child); i++) {
		child[i] = fork();
		if (!child[i]) {
			pause();
			_exit(0);
		}
	}
	clock_gettime(CLOCK_MONOTONIC, &before);
	for (i = 0; i < ARRAY_SIZE(child); i++)
		frames_refresh(frames, child[i]);
	looked = since(&before) / ARRAY_SIZE(child);
	clock_gettime(CLOCK_MONOTONIC, &before);
	for (i = 0; i < ARRAY_SIZE(child); i++) {
		read_whole(child[i], "maps");
		read_whole(child[i], "smaps");
	}
	whole = since(&before) / ARRAY_SIZE(child);
	for (i = 0; i < ARRAY_SIZE(child); i++) {
		kill(child[i], SIGKILL);
		waitpid(child[i], NULL, 0);
	}
	tap_note("%.0f us a process; to read its maps and smaps, %.0f us", looked, whole);
	tap_ok(looked < 2 * whole, "a process with nothing secret is soon looked at");
}

int main(void)
{
	const char *why;
	const struct hook *hook;
	size_t nr, i;

	if (hook_possible(&why) || layout_learn(&layout, &why))
		tap_skip_all(why);
	tap_plan(1 + 3 * BACKENDS + 2 + 3 + 5 + 1 + 3 + 1 + 1);
	open_frames();
	hook = frames_hooks(frames, &nr);
	for (i = 0; i < nr; i++) {
		if (!hook[i].attached)
			tap_note("%s: %s", hook[i].name, hook[i].why_not);
	}
	tap_ok(nr == 8 && hook[1].attached && hook[2].attached && hook[3].attached &&
		       hook[0].attached == !access("/dev/lethe", F_OK),
	       "the tracepoints that keep it current are there, the module's where it is");
	comes_and_goes(KMOD);
	comes_and_goes(MEMFD);
	comes_and_goes(LOCKED);
	was_there_before();
	only_locked();
	of_another();
	at_edges();
	marks();
	under_churn();
	many();
	frames_close(frames);
	return tap_end();
}
