// SPDX-License-Identifier: MIT
/*
 * What is left in all of a machine's memory: while a section runs, the secret
 * is in secret pages alone; after it, or after its process was killed, it is
 * nowhere. Searched from outside, by the host, in the virtual machine. Each
 * search has its control in the same run: the same function, run plainly.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/lethe.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../selftests/registers.h"
#include "../selftests/tap.h"
#include "../vm/hostlink.h"
#include "frames.h"
#include "lethe.h"
#include "needle.h"

#define SECRET_BYTES 64

/* What a function under test leaves behind on purpose: a needle, no secret. */
struct job {
	struct needle needle;
	struct hostlink_found during;
	void *(*alloc)(size_t);
	void (*release)(void *);
	void (*inside)(struct job *);
	int pipe; /* tells the parent the needle; -1 for none */
	bool good;
};

static void search(const char *label, const struct needle *needle,
		   struct hostlink_found *found)
{
	uint64_t *frames, searched = 0;
	size_t n;
	int err;

	err = secret_frames(&frames, &n);
	if (err)
		tap_bail("the module does not tell its frames: %s", strerror(-err));
	err = hostlink_search(label, needle, 1, frames, n, found, &searched);
	free(frames);
	if (err)
		tap_bail("the host's search: %s", strerror(-err));
	tap_note(
		"%s: %llu copies in secret frames, %llu elsewhere, longest %llu of %u, in %llu MiB",
		label, (unsigned long long)found->in_frames,
		(unsigned long long)found->elsewhere, (unsigned long long)found->longest,
		needle->length, (unsigned long long)searched >> 20);
}

static void search_during(struct job *job)
{
	search("while it runs", &job->needle, &job->during);
}

/* A secret on the stack and on the heap, both let go of without a wipe. */
static __attribute__((noinline)) void hold_secret(void *arg)
{
	unsigned char on_stack[SECRET_BYTES], *on_heap;
	struct job *job = arg;

	on_heap = job->alloc(SECRET_BYTES);
	if (!on_heap || getrandom(on_stack, sizeof(on_stack), 0) != sizeof(on_stack))
		return;
	memcpy(on_heap, on_stack, SECRET_BYTES);
	if (needle_make(&job->needle, "secret", on_stack, SECRET_BYTES))
		return;
	job->good = true;
	job->inside(job);
	job->release(on_heap);
	/* On the stack until here, whatever the compiler thinks of it. */
	__asm__ volatile("" : : "r"(on_stack) : "memory");
}

static void plainly(struct job *job)
{
	job->alloc = malloc;
	job->release = free;
	hold_secret(job);
}

static void in_section(struct job *job)
{
	job->alloc = lethe_malloc;
	job->release = lethe_free;
	if (lethe_do(hold_secret, job))
		job->good = false;
}

static void test_section(void)
{
	struct job plain = { .inside = search_during }, secret = plain;
	struct hostlink_found control, after;

	plainly(&plain);
	search("plainly, after", &plain.needle, &control);
	in_section(&secret);
	search("section, after", &secret.needle, &after);

	tap_ok(plain.good && plain.during.elsewhere > 0,
	       "plainly, a running function's secret is in memory (%llu)",
	       (unsigned long long)plain.during.elsewhere);
	tap_ok(plain.good && control.copies > 0,
	       "plainly, it is there after the function too (%llu)",
	       (unsigned long long)control.copies);
	tap_ok(secret.good && secret.during.in_frames > 0 && !secret.during.elsewhere,
	       "while a section runs, the secret is in secret pages (%llu) and nowhere else (%llu)",
	       (unsigned long long)secret.during.in_frames,
	       (unsigned long long)secret.during.elsewhere);
	tap_ok(secret.good && !after.copies,
	       "after a section, the secret is nowhere in all of RAM (%llu)",
	       (unsigned long long)after.copies);
}

static void tell_and_wait(struct job *job)
{
	if (needle_write(job->pipe, &job->needle))
		_exit(1);
	for (;;)
		pause();
}

static void tell_and_exit(struct job *job)
{
	if (needle_write(job->pipe, &job->needle))
		_exit(1);
	exit(0);
}

/* Starts a child in @inside; its needle comes out, the child may live on. */
static pid_t start_child(void (*how)(struct job *), void (*inside)(struct job *),
			 struct needle *needle)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		tap_bail("pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		tap_bail("fork: %s", strerror(errno));
	if (!pid) {
		struct job job = { .inside = inside, .pipe = ends[1] };

		close(ends[0]);
		how(&job);
		_exit(1);
	}
	close(ends[1]);
	if (needle_read(ends[0], needle) != 1)
		tap_bail("a child did not say what to search for");
	close(ends[0]);
	return pid;
}

/* Gone when this returns, with all that the kernel frees of it. */
static void kill_child(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Blocked in the kernel: what it had in registers is in the kernel's memory. */
static void wait_asleep(pid_t pid)
{
	static const struct timespec moment = { 0, 20 * 1000 * 1000 };
	char path[32], line[128], *state;
	FILE *file;
	int i;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	for (i = 0; i < 500; i++) {
		file = fopen(path, "r");
		if (!file || !fgets(line, sizeof(line), file))
			break;
		fclose(file);
		state = strrchr(line, ')');
		if (state && state[2] == 'S')
			return;
		nanosleep(&moment, NULL);
	}
	tap_bail("a child does not come to rest");
}

/*
 * Fills every register, forgets where from, and sleeps in the kernel for so
 * long, with nothing in between that would spill or change a register.
 */
static void sleep_with_registers_full(uint64_t *secret, time_t seconds, long nanoseconds)
{
	struct timespec length = { seconds, nanoseconds };
	long number = SYS_nanosleep;

	registers_fill(secret);
	__asm__ volatile("movq $0, (%3)\n\tsyscall"
			 : "+a"(number)
			 : "D"(&length), "S"(0), "r"(secret)
			 : "rcx", "r11", "memory");
	__asm__ volatile("emms");
}

static uint64_t make_register_secret(struct job *job)
{
	uint64_t secret;

	if (getrandom(&secret, sizeof(secret), 0) != sizeof(secret) ||
	    needle_make(&job->needle, "registers", &secret, sizeof(secret)))
		_exit(1);
	return secret;
}

/* Asleep with full registers: the needle is told before, so no code runs after. */
static void registers_plainly(struct job *job)
{
	uint64_t secret = make_register_secret(job);

	if (needle_write(job->pipe, &job->needle))
		_exit(1);
	sleep_with_registers_full(&secret, 3600, 0);
}

static void use_registers(void *arg)
{
	uint64_t secret = make_register_secret(arg);

	sleep_with_registers_full(&secret, 0, 50 * 1000 * 1000);
}

static void registers_in_section(struct job *job)
{
	if (lethe_do(use_registers, job))
		_exit(1);
	tell_and_wait(job);
}

static void sleep_until_killed(void *arg)
{
	registers_plainly(arg);
}

static void killed_with_registers_full(struct job *job)
{
	if (lethe_do(sleep_until_killed, job))
		_exit(1);
}

static void test_registers(void)
{
	struct hostlink_found during, after, during_killed, after_killed;
	struct needle plain, secret, killed;
	pid_t pid;

	pid = start_child(registers_plainly, NULL, &plain);
	wait_asleep(pid);
	search("asleep, registers full", &plain, &during);
	kill_child(pid);

	pid = start_child(registers_in_section, NULL, &secret);
	wait_asleep(pid);
	search("registers full and asleep in a section, after it", &secret, &after);
	kill_child(pid);

	pid = start_child(killed_with_registers_full, NULL, &killed);
	wait_asleep(pid);
	search("asleep in a section, registers full", &killed, &during_killed);
	kill_child(pid);
	search("killed in a section, registers full", &killed, &after_killed);

	tap_ok(during.copies > 0,
	       "the kernel's memory has a sleeping task's registers (%llu)",
	       (unsigned long long)during.copies);
	tap_ok(!after.copies,
	       "after a section that slept so, none of them is in RAM (%llu)",
	       (unsigned long long)after.copies);
	tap_ok(during_killed.elsewhere > 0 && !after_killed.copies,
	       "after SIGKILL in a section that slept so, none of them is in RAM (%llu, before %llu)",
	       (unsigned long long)after_killed.copies,
	       (unsigned long long)during_killed.elsewhere);
}

/* What a process gave up may be another's before it is searched: a few tries. */
static void search_after_end(bool by_kill, struct hostlink_found *found)
{
	enum { ATTEMPTS = 5 };
	struct needle plain;

	found->copies = 0;
	for (int i = 0; i < ATTEMPTS && !found->copies; i++) {
		if (by_kill)
			kill_child(start_child(plainly, tell_and_wait, &plain));
		else
			waitpid(start_child(plainly, tell_and_exit, &plain), NULL, 0);
		search(by_kill ? "plainly, killed" : "plainly, exited", &plain, found);
	}
}

static void test_killed(void)
{
	struct hostlink_found during, after, control;
	struct needle secret;
	pid_t pid;

	search_after_end(true, &control);

	pid = start_child(in_section, tell_and_wait, &secret);
	search("section, about to be killed", &secret, &during);
	kill_child(pid);
	search("section, killed", &secret, &after);

	tap_ok(control.copies > 0,
	       "a process killed plainly leaves its secret in free memory (%llu)",
	       (unsigned long long)control.copies);
	tap_ok(during.in_frames > 0,
	       "the one to be killed in a section had it in secret pages (%llu)",
	       (unsigned long long)during.in_frames);
	tap_ok(!after.copies,
	       "after SIGKILL inside a section the secret is nowhere in RAM (%llu)",
	       (unsigned long long)after.copies);
}

static void test_exit(void)
{
	struct hostlink_found after, control;
	struct needle secret;

	search_after_end(false, &control);
	waitpid(start_child(in_section, tell_and_exit, &secret), NULL, 0);
	search("section, exited", &secret, &after);
	tap_ok(control.copies > 0,
	       "a process that exits plainly leaves its secret in free memory (%llu)",
	       (unsigned long long)control.copies);
	tap_ok(!after.copies,
	       "after exit() inside a section the secret is nowhere in RAM (%llu)",
	       (unsigned long long)after.copies);
}

/* A region of one's own: the descriptor is closed first, then the mapping goes. */
static void test_region(void)
{
	struct lethe_create create = { .size = sizeof(create), .length = 3 * 4096 };
	struct hostlink_found closed, unmapped;
	unsigned char secret[SECRET_BYTES], *p;
	struct needle needle;
	int device, region;

	device = open(LETHE_DEVICE, O_RDWR | O_CLOEXEC);
	region = ioctl(device, LETHE_IOC_CREATE, &create);
	p = mmap(NULL, create.length, PROT_READ | PROT_WRITE, MAP_SHARED, region, 0);
	if (p == MAP_FAILED)
		tap_bail("no region: %s", strerror(errno));
	close(region);
	close(device);
	/* Straight into the region: there is never a copy on this stack. */
	if (getrandom(p + 4096, sizeof(secret), 0) != sizeof(secret) ||
	    needle_make(&needle, "region", p + 4096, sizeof(secret)))
		tap_bail("no secret");
	search("region, descriptor closed", &needle, &closed);
	munmap(p, create.length);
	search("region, unmapped", &needle, &unmapped);
	tap_ok(closed.in_frames == 1 && !closed.elsewhere,
	       "a region whose descriptor is closed holds what its mapping wrote, and nothing else does");
	tap_ok(!unmapped.copies,
	       "once it is unmapped, its bytes are nowhere in RAM (%llu)",
	       (unsigned long long)unmapped.copies);
}

int main(void)
{
	int err = hostlink_open();

	if (err) {
		puts("KTAP version 1\n1..0 # SKIP a virtual machine whose host can search it");
		return 4;
	}
	if (access(LETHE_DEVICE, F_OK)) {
		puts("KTAP version 1\n1..0 # SKIP " LETHE_DEVICE);
		return 4;
	}
	registers_look();
	tap_plan(14);
	test_section();
	test_registers();
	test_killed();
	test_exit();
	test_region();
	return tap_end();
}
