// SPDX-License-Identifier: MIT
/*
 * Asking who holds secret pages: who may, into which arrays, while regions come and
 * go, and of how many. What the rows say of a process is in holders.c. It compares
 * counts, so it wants the module for itself.
 */
#include <sched.h>
#include <sys/resource.h>
#include <time.h>

#include "door.h"
#include "holders.h"

#define SNAPSHOT "/dev/snapshot"

static void ten_pages(int line)
{
	prctl(PR_SET_NAME, "holder-ten");
	must_create(10 * PAGE);
	meet(line);
}

/* An array that is too small, one that is too large, and none. */
static void test_room(void)
{
	struct worker two = begin(two_regions), ten = begin(ten_pages);
	struct lethe_holder few[2];
	int err;

	memset(few, 0xa5, sizeof(few));
	err = ask(few, 1);
	tap_ok(!err && nr_rows == 2 && row_is(&few[0], 1, 10, "holder-ten") &&
		       all_are((unsigned char *)&few[1], 0xa5, sizeof(few[1])),
	       "room for one: who holds most, how many there are, and no byte more");
	err = ask(NULL, 0);
	tap_ok(!err && nr_rows == 2, "room for none says how many there are");
	end(&two);
	end(&ten);
}

/* Bits of the exit status: what was learned that should not be. */
static int as_stranger(void)
{
	unsigned char untouched[sizeof(struct lethe_holder)];
	int bad = 0;

	memset(untouched, 0xa5, sizeof(untouched));
	bad |= ask((struct lethe_holder *)untouched, 1) == -EPERM ? 0 : 1;
	bad |= nr_rows == 1 && all_are(untouched, 0xa5, sizeof(untouched)) ? 0 : 2;
	return bad;
}

static int as_nobody(void)
{
	return become_nobody() ? as_stranger() : 99;
}

/* All capabilities, in a user namespace of one's own. */
static int as_inner_root(void)
{
	return unshare(CLONE_NEWUSER) ? 99 : as_stranger();
}

static int in_child(int (*fn)(void))
{
	pid_t pid = must_fork();

	if (!pid)
		_exit(fn());
	return end_of(pid);
}

static void test_strangers(void)
{
	int fd = must_create(2 * PAGE), ended;

	must_ask();
	tap_ok(nr_rows == 1 && rows_add_up(), "root gets a row");
	ended = in_child(as_nobody);
	tap_ok(!ended, "nobody gets EPERM, no row, and not how many there are (%d)",
	       ended);
	ended = in_child(as_inner_root);
	if (ended == 99)
		tap_skip("user namespaces", "nor does root of another user namespace");
	else
		tap_ok(!ended, "nor does root of another user namespace (%d)", ended);
	close(fd);
}

static int ask_sized(void *to, uint32_t room, uint32_t holder_size)
{
	struct lethe_query args = {
		.size = sizeof(args),
		.flags = LETHE_QUERY_HOLDERS,
		.holders = (uintptr_t)to,
		.nr_holders = room,
		.holder_size = holder_size,
	};

	return call(LETHE_IOC_QUERY, &args);
}

static void test_sizes(void)
{
	struct {
		struct lethe_holder known;
		unsigned char later[32];
	} wide[2];
	struct lethe_query args = { .size = 112, .flags = LETHE_QUERY_HOLDERS };
	int fd = must_create(PAGE), err;
	uint64_t frame = 0;

	tap_ok(ask_sized(rows, 1, sizeof(*rows) - 1) == -EINVAL &&
		       ask_sized(rows, 1, 0) == -EINVAL &&
		       call(LETHE_IOC_QUERY, &args) == -EINVAL,
	       "rows shorter than their first form are EINVAL, in a short query too");
	tap_ok(ask_sized(rows, 1, PAGE + 1) == -E2BIG,
	       "rows longer than a page are E2BIG");
	tap_ok(ask_sized((void *)1, 1, sizeof(*rows)) == -EFAULT &&
		       ask_sized(NULL, 1, sizeof(*rows)) == -EFAULT,
	       "an array with nothing at it is EFAULT");
	memset(wide, 0xa5, sizeof(wide));
	err = ask_sized(wide, 2, sizeof(wide[0]));
	tap_ok(!err && row_is(&wide[0].known, 1, 1, "asking") &&
		       all_are(wide[0].later, 0, sizeof(wide[0].later)) &&
		       all_are((unsigned char *)&wide[1], 0xa5, sizeof(wide[1])),
	       "of rows that a later caller knows, what is unknown is zeroed");

	args = (struct lethe_query){
		.size = sizeof(args),
		.flags = LETHE_QUERY_HOLDERS | LETHE_QUERY_FRAMES,
		.frames = (uintptr_t)&frame,
		.nr_frames = 1,
		.holders = (uintptr_t)rows,
		.nr_holders = MAX_ROWS,
		.holder_size = sizeof(*rows),
	};
	err = call(LETHE_IOC_QUERY, &args);
	tap_ok(!err && frame && args.nr_frames == 1 && args.nr_holders == 1 &&
		       args.features & LETHE_FEATURE_HOLDERS,
	       "rows and frames can be had in one call");
	close(fd);
}

/* /dev/snapshot begins a hibernation, and ends it: see power.c. */
static void test_revoked(void)
{
	int fd = must_create(3 * PAGE), snapshot = open(SNAPSHOT, O_RDONLY | O_CLOEXEC);

	if (snapshot < 0) {
		tap_skip(SNAPSHOT, "a revoked region is held by nobody");
	} else {
		close(snapshot);
		must_ask();
		tap_ok(!nr_rows, "a revoked region is held by nobody");
	}
	close(fd);
}

#define ASKED 300

static void churn(int line)
{
	prctl(PR_SET_NAME, "churn");
	meet(line);
	for (;;) {
		int fd = must_create(2 * PAGE);

		close(must_create(PAGE));
		close(fd);
	}
}

/* Asked while others make and end regions: what does not change is always there. */
static void test_churn(void)
{
	struct worker still = begin(two_regions), churns[2];
	unsigned int wrong = 0;

	for (int i = 0; i < 2; i++) {
		churns[i] = begin(churn);
		tell(&churns[i]);
	}
	for (int i = 0; i < ASKED; i++) {
		must_ask();
		wrong += !holds(still.pid, 2, 8, "holder-two");
		for (uint32_t j = 0; j < nr_rows; j++)
			wrong += rows[j].pid != still.pid &&
				 (rows[j].bytes < PAGE || rows[j].bytes > 3 * PAGE ||
				  rows[j].regions > 2 ||
				  strcmp((char *)rows[j].command, "churn"));
		wrong += nr_rows > 3;
	}
	tap_ok(!wrong,
	       "asked %d times while two processes make and end regions (%u wrong)",
	       ASKED, wrong);
	for (int i = 0; i < 2; i++) {
		kill(churns[i].pid, SIGKILL);
		end_of(churns[i].pid);
		close(churns[i].line);
	}
	end(&still);
}

#define MANY 10000

static uint64_t microseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000ULL + now.tv_nsec / 1000;
}

static void test_many(void)
{
	const struct rlimit enough = { MANY + 64, MANY + 64 };
	struct worker other = begin(two_regions);
	static int fds[MANY];
	uint64_t began;

	if (setrlimit(RLIMIT_NOFILE, &enough))
		tap_bail("setrlimit: %s", strerror(errno));
	for (int i = 0; i < MANY; i++)
		fds[i] = must_create(PAGE);
	began = microseconds();
	must_ask();
	began = microseconds() - began;
	tap_ok(nr_rows == 2 && holds(getpid(), MANY, MANY, "asking") &&
		       holds(other.pid, 2, 8, "holder-two") && rows_add_up(),
	       "%d regions are two rows", MANY + 2);
	tap_note("asked in %llu us", (unsigned long long)began);
	for (int i = 0; i < MANY; i++)
		close(fds[i]);
	end(&other);
}

int main(void)
{
	if (getuid())
		tap_skip_all("root, who alone may ask");
	door_open_alone();
	if (must_query().regions)
		tap_skip_all("a module that nobody else uses");

	tap_plan(14);
	prctl(PR_SET_NAME, "asking");
	test_room();
	test_strangers();
	test_sizes();
	test_revoked();
	test_churn();
	test_many();
	must_ask();
	tap_ok(!nr_rows && !must_query().pages_used, "afterwards nobody holds anything");
	return tap_end();
}
