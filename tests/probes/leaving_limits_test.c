// SPDX-License-Identifier: MIT
/*
 * Where the probe "leaving" comes to its limits: what it could not judge or tell is
 * counted as that, and never passed over. And from which place in a program a buffer
 * is given away, whichever door the call comes in by.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../selftests/tap.h"
#include "leaving_run.h"

#define MISSING_VECTORS 8L
/* More than there is room for until somebody reads. */
#define FLOOD 60000
#define CROWD_PAGES ((size_t)1024)
#define CROWD_ROUNDS 300

static char plain[GIVEN];

/* The secret one is the @nth of 80, of which 64 are looked at. */
static ssize_t by_vectors(void *at, size_t length, int nth)
{
	struct iovec vectors[80];

	for (int i = 0; i < 80; i++)
		vectors[i] = (struct iovec){ plain, sizeof(plain) };
	vectors[nth] = (struct iovec){ at, length };
	return writev(null_file(), vectors, 80);
}

static ssize_t by_vector_63(void *at, size_t length)
{
	return by_vectors(at, length, 63);
}

static ssize_t by_vector_64(void *at, size_t length)
{
	return by_vectors(at, length, 64);
}

static ssize_t by_no_vectors(void *at, size_t length)
{
	(void)at, (void)length;
	return syscall(SYS_writev, null_file(), MISSING_VECTORS, 2);
}

/* With the vectors themselves on secret memory. */
static ssize_t by_secret_vectors(void *at, size_t length)
{
	struct iovec *vectors = (struct iovec *)((char *)at + PAGE / 2);

	*vectors = (struct iovec){ at, length };
	return writev(null_file(), vectors, 1);
}

static void test_vectors(void)
{
	struct leaving_counts before;
	struct event event;
	pid_t child = leaving_in_child(by_vector_63, LOCKED, PAGE, GIVEN);

	tap_ok(leaving_told_once(child, LEAVING_WRITE, LOCKED, &event),
	       "the 64th buffer of a call is looked at");
	before = leaving_now();
	child = leaving_in_child(by_vector_64, LOCKED, PAGE, GIVEN);
	tap_ok(!leaving_told(child) && leaving_now().unjudged[LEAVING_WRITE] >
					       before.unjudged[LEAVING_WRITE],
	       "a call with a 65th is counted as not judged");
	before = leaving_now();
	leaving_in_child(by_no_vectors, LOCKED, PAGE, GIVEN);
	tap_ok(leaving_now().unjudged[LEAVING_WRITE] > before.unjudged[LEAVING_WRITE],
	       "so is one whose buffers cannot be read");
	child = leaving_in_child(by_secret_vectors, LOCKED, PAGE, GIVEN);
	tap_ok(leaving_told_once(child, LEAVING_WRITE, LOCKED, &event),
	       "buffers that are named on secret memory are told");
}

#define ALONE __attribute__((noinline, noclone))

/* The call is in this very function; to ask for its frame is to have one. */
ALONE static long give_here(int fd, const void *at, size_t length)
{
	long ret = SYS_write;

	__asm__ volatile("syscall"
			 : "+a"(ret)
			 : "D"(fd), "S"(at), "d"(length), "r"(__builtin_frame_address(0))
			 : "rcx", "r11", "memory");
	return ret;
}

ALONE static ssize_t by_stack(void *at, size_t length)
{
	long ret = give_here(null_file(), at, length);

	__asm__ volatile("" : : "r"(__builtin_frame_address(0)));
	return ret;
}

static bool is_in(unsigned long long address, const void *function)
{
	return address > (uintptr_t)function && address < (uintptr_t)function + 256;
}

static void test_stack(void)
{
	struct event event = {};
	pid_t child = leaving_in_child(by_stack, LOCKED, PAGE, GIVEN);

	tap_ok(leaving_told_once(child, LEAVING_WRITE, LOCKED, &event) &&
		       event.depth >= 2 && is_in(event.stack[0], give_here) &&
		       is_in(event.stack[1], by_stack),
	       "the stack says which function gave it away, and who called that");
}

/* Any process may use the 32-bit door. */
static ssize_t by_narrow_door(void *at, size_t length)
{
	long ret = 4; /* write */
	char *low = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	if (mremap(at, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, low) != low)
		return -1;
	leaving_run->address = (uintptr_t)low;
	__asm__ volatile("int $0x80"
			 : "+a"(ret)
			 : "b"(null_file()), "c"(low), "d"(length)
			 : "r8", "r9", "r10", "r11", "memory");
	return ret;
}

static bool has_narrow_door(void)
{
	pid_t child = fork();
	int status;

	if (!child) {
		long ret = 20; /* getpid */

		__asm__ volatile("int $0x80" : "+a"(ret) : : "memory");
		_exit(ret != getpid());
	}
	return waitpid(child, &status, 0) == child && !status;
}

static void test_narrow_door(void)
{
	static const char what[] = "a call by the 32-bit door is told";
	struct event event;
	pid_t child;

	if (!has_narrow_door()) {
		tap_skip("32-bit system calls", what);
		return;
	}
	child = leaving_in_child(by_narrow_door, LOCKED, PAGE, GIVEN);
	tap_ok(leaving_told_once(child, LEAVING_WRITE, LOCKED, &event), what);
}

static void test_self(void)
{
	struct leaving_counts before = leaving_now();
	char *at = kind_map(LOCKED, NULL, 1);

	gather_begin();
	by_stack(at, GIVEN);
	gather();
	tap_ok(!leaving_told(getpid()) && leaving_now().lost == before.lost,
	       "of the process that asks nothing is told");
	munmap(at, PAGE);
}

static ssize_t by_many(void *at, size_t length)
{
	int fd = null_file();

	for (int i = 0; i < FLOOD; i++) {
		if (write(fd, at, length) != (ssize_t)length)
			return -1;
	}
	return 0;
}

static void test_flood(void)
{
	struct leaving_counts before = leaving_now(), after;
	pid_t child = leaving_in_child(by_many, LOCKED, PAGE, GIVEN);
	unsigned long long told = leaving_told(child), came = gather(), lost;

	after = leaving_now();
	lost = after.lost - before.lost;
	tap_note("%llu told, %llu lost", came, lost);
	tap_ok(lost && told, "events for which there is no room are counted");
	tap_ok(came + lost >= FLOOD &&
		       after.secret[LEAVING_WRITE] - before.secret[LEAVING_WRITE] ==
			       came + lost,
	       "told and lost are together all that there were");
}

static volatile int crowded, rounds;

/* Holds the lock of the mappings nearly all the time. */
static void *crowd(void *area)
{
	while (crowded) {
		mprotect(area, CROWD_PAGES * PAGE, PROT_READ);
		mprotect(area, CROWD_PAGES * PAGE, PROT_READ | PROT_WRITE);
		rounds++;
	}
	return NULL;
}

static ssize_t by_crowd(void *at, size_t length)
{
	void *area = kind_map(ORDINARY, NULL, CROWD_PAGES);
	int fd = null_file();
	ssize_t ret = 0;
	pthread_t thread;

	crowded = 1;
	if (pthread_create(&thread, NULL, crowd, area))
		return -1;
	while (rounds < CROWD_ROUNDS && ret >= 0) {
		ret = write(fd, at, length);
		leaving_run->calls++;
		usleep(10);
	}
	crowded = 0;
	pthread_join(thread, NULL);
	return ret;
}

static void test_crowd(enum kind kind)
{
	struct leaving_counts before = leaving_now(), after;
	pid_t child = leaving_in_child(by_crowd, kind, PAGE, GIVEN);
	unsigned long long secret, unjudged;

	after = leaving_now();
	secret = after.secret[LEAVING_WRITE] - before.secret[LEAVING_WRITE];
	unjudged = after.unjudged[LEAVING_WRITE] - before.unjudged[LEAVING_WRITE];
	tap_note("of %zu writes %llu secret, %llu not judged", leaving_run->calls, secret,
		 unjudged);
	if (kind == ORDINARY)
		tap_ok(unjudged && !leaving_told(child),
		       "a call while mappings are being changed is counted as not judged");
	else
		tap_ok(secret && secret + unjudged >= leaving_run->calls,
		       "unless secret memory is found even so");
}

int main(void)
{
	leaving_begin();
	tap_plan(11);
	test_vectors();
	test_stack();
	test_narrow_door();
	test_self();
	test_flood();
	test_crowd(ORDINARY);
	test_crowd(LOCKED);
	leaving_end();
	return tap_end();
}
