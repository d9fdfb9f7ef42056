// SPDX-License-Identifier: MIT
/*
 * What is left in all of a machine's memory: while a section runs, the secret
 * is in secret pages alone; after it, or after its process was killed, it is
 * nowhere. Searched from outside, by the host, in the virtual machine. Each
 * search has its control in the same run: the same function, run plainly.
 *
 * On the module all of that holds. Without it the kernel frees by itself what it had
 * of a process: what of that it does not wipe is a row of the table, with the reason.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/lethe.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../selftests/registers.h"
#include "../selftests/tap.h"
#include "job.h"
#include "lethe.h"
#include "ram.h"

#define PAGE 4096
#define REGION_PAGES 3
#define THREADS 3
/* What was given up may be another's before it is searched: a few tries. */
#define ATTEMPTS 5

/* Of each kind of backend. */
#define MODULE_POINTS 18
#define MEMFD_POINTS 11
#define MLOCK_POINTS 7

/* Why there are copies, where that cannot be otherwise. */
#define UNWIPED_PAGES "the kernel frees locked pages unwiped"
#define UNWIPED_TASK "the kernel frees its copy of a task's registers unwiped"

static struct hostlink_found during;

static bool is_mlock(void)
{
	return !strcmp(lethe_backend(), "mlock");
}

static void search_during(struct job *job)
{
	ram_search("while it runs", &job->needle, &during);
}

static void test_section(void)
{
	struct job plain = { .inside = search_during }, secret = plain;
	struct hostlink_found control, after, plain_during;

	job_plainly(&plain);
	plain_during = during;
	ram_search("plainly, after", &plain.needle, &control);
	job_in_section(&secret);
	ram_search("section, after", &secret.needle, &after);
	ram_record("guest RAM at section end", &control, &after, "");

	tap_ok(plain.good && plain_during.elsewhere > 0,
	       "plainly, a running function's secret is in memory (%llu)",
	       (unsigned long long)plain_during.elsewhere);
	tap_ok(plain.good && control.copies > 0,
	       "plainly, it is there after the function too (%llu)",
	       (unsigned long long)control.copies);
	if (ram_on_module())
		tap_ok(secret.good && during.in_frames > 0 && !during.elsewhere,
		       "while a section runs, the secret is in secret pages (%llu) and nowhere else (%llu)",
		       (unsigned long long)during.in_frames,
		       (unsigned long long)during.elsewhere);
	tap_ok(secret.good && during.copies && !after.copies,
	       "after a section, the secret is nowhere in all of RAM (%llu)",
	       (unsigned long long)after.copies);
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

	job_tell(job);
	job_sleep_full(&secret, 3600, 0);
}

static void use_registers(void *arg)
{
	uint64_t secret = make_register_secret(arg);

	job_sleep_full(&secret, 0, 50 * 1000 * 1000);
}

static void registers_in_section(struct job *job)
{
	if (lethe_do(use_registers, job))
		_exit(1);
	job_tell_and_wait(job);
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
	struct hostlink_found asleep, after, during_killed, after_killed;
	struct needle plain, secret, killed;
	pid_t pid;

	pid = job_start(registers_plainly, NULL, &plain);
	job_wait_asleep(pid);
	ram_search("asleep, registers full", &plain, &asleep);
	job_kill(pid);

	pid = job_start(registers_in_section, NULL, &secret);
	job_wait_asleep(pid);
	ram_search("registers full and asleep in a section, after it", &secret, &after);
	job_kill(pid);

	pid = job_start(killed_with_registers_full, NULL, &killed);
	job_wait_asleep(pid);
	ram_search("asleep in a section, registers full", &killed, &during_killed);
	job_kill(pid);
	ram_search("killed in a section, registers full", &killed, &after_killed);

	tap_ok(asleep.copies > 0,
	       "the kernel's memory has a sleeping task's registers (%llu)",
	       (unsigned long long)asleep.copies);
	tap_ok(!after.copies,
	       "after a section that slept so, none of them is in RAM (%llu)",
	       (unsigned long long)after.copies);
	tap_ok(during_killed.elsewhere > 0 && !after_killed.copies,
	       "after SIGKILL in a section that slept so, none of them is in RAM (%llu, before %llu)",
	       (unsigned long long)after_killed.copies,
	       (unsigned long long)during_killed.elsewhere);
}

/* The secret is put together where it may be: in a section. */
static void sleep_with_needle(void *arg)
{
	const struct job *job = arg;
	uint64_t secret;

	for (size_t i = 0; i < sizeof(secret); i++)
		((volatile uint8_t *)&secret)[i] = job->needle.mask[i] ^
						   job->needle.masked[i];
	job_sleep_full(&secret, 3600, 0);
}

static void make_needle(void *arg)
{
	uint64_t secret = make_register_secret(arg);

	__asm__ volatile("" : : "r"(&secret) : "memory");
}

static void *sleep_in_section(void *arg)
{
	lethe_do(sleep_with_needle, arg);
	return NULL;
}

/* THREADS of them, each in a section of its own, and asleep. */
static void threads_in_sections(struct job *job)
{
	pthread_t thread;

	if (lethe_do(make_needle, job))
		_exit(1);
	for (int i = 1; i < THREADS; i++)
		if (pthread_create(&thread, NULL, sleep_in_section, job))
			_exit(1);
	/* The others are asleep before it is. */
	usleep(300 * 1000);
	job_tell(job);
	sleep_in_section(job);
}

static void test_threads(void)
{
	struct hostlink_found asleep, after;
	struct needle needle;
	pid_t pid = job_start(threads_in_sections, NULL, &needle);

	job_wait_asleep(pid);
	ram_search("threads asleep in sections, registers full", &needle, &asleep);
	job_kill(pid);
	ram_search("killed, with all its threads", &needle, &after);
	tap_ok(asleep.elsewhere > 0 && !after.copies,
	       "after SIGKILL of %d threads in sections, nothing of their registers is in RAM (%llu, before %llu)",
	       THREADS, (unsigned long long)after.copies,
	       (unsigned long long)asleep.elsewhere);
}

/* The child comes to its end: by itself, or, asleep, by our hand. */
static void end_child(void (*how)(struct job *), void (*inside)(struct job *),
		      struct needle *needle)
{
	pid_t pid = job_start(how, inside, needle);

	if (inside == job_tell_and_exit) {
		waitpid(pid, NULL, 0);
		return;
	}
	job_wait_asleep(pid);
	ram_search("about to be killed", needle, &during);
	job_kill(pid);
}

static void test_end(const char *row, void (*inside)(struct job *), const char *end,
		     const char *why)
{
	struct hostlink_found after, control = { .copies = 0 };
	struct needle needle;

	for (int i = 0; i < ATTEMPTS && !control.copies; i++) {
		end_child(job_plainly, inside, &needle);
		ram_search("plainly, at its end", &needle, &control);
	}
	end_child(job_in_section, inside, &needle);
	ram_search("in a section, at its end", &needle, &after);
	ram_record(row, &control, &after, why);

	tap_ok(control.copies > 0,
	       "a process that ends plainly, %s, leaves its secret in free memory (%llu)",
	       end, (unsigned long long)control.copies);
	/* Of registers that were copied, no copy is as long as that of the pages is. */
	if (!is_mlock())
		tap_ok(ram_on_module() ? !after.copies : !after.whole,
		       "after the end of one inside a section, %s, the secret is nowhere in RAM (%llu%s)",
		       end, (unsigned long long)after.copies,
		       after.copies && !after.whole ? ", of registers" : "");
}

static void test_ends(void)
{
	test_end("guest RAM at exit", job_tell_and_exit, "by exit()",
		 is_mlock() ? UNWIPED_PAGES : UNWIPED_TASK);
	test_end("guest RAM at kill", job_tell_and_wait, "by SIGKILL",
		 is_mlock() ? UNWIPED_PAGES : UNWIPED_TASK);
	if (ram_on_module())
		tap_ok(during.in_frames > 0,
		       "and before it was in secret pages (%llu), and in registers (%llu)",
		       (unsigned long long)during.in_frames,
		       (unsigned long long)during.elsewhere);
	test_end("SIGKILL inside", job_tell_and_wait_full,
		 "by SIGKILL with full registers",
		 is_mlock() ? UNWIPED_PAGES ", and its copy of a task's registers" :
			      UNWIPED_TASK);
}

/* A descriptor of as many bytes of secret pages; -1 for memory that is only locked. */
static int open_region(size_t length)
{
	struct lethe_create create = { .size = sizeof(create), .length = length };
	int device, region;

	if (is_mlock())
		return -1;
	if (ram_on_module()) {
		device = open(LETHE_DEVICE, O_RDWR | O_CLOEXEC);
		region = ioctl(device, LETHE_IOC_CREATE, &create);
		close(device);
	} else {
		region = syscall(SYS_memfd_secret, O_CLOEXEC);
		if (ftruncate(region, length))
			tap_bail("memfd_secret: %s", strerror(errno));
	}
	if (region < 0)
		tap_bail("no region: %s", strerror(errno));
	return region;
}

static unsigned char *map(int region, bool lock)
{
	size_t length = REGION_PAGES * PAGE;
	void *p = mmap(NULL, length, PROT_READ | PROT_WRITE,
		       region < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, region, 0);

	if (p == MAP_FAILED || (lock && mlock(p, length)))
		tap_bail("no region: %s", strerror(errno));
	return p;
}

/* Straight into the pages: there is never a copy on this stack. */
static void fill_and_unmap(unsigned char *p, struct needle *needle,
			   struct hostlink_found *mapped, struct hostlink_found *unmapped)
{
	if (getrandom(p + PAGE, JOB_SECRET, 0) != JOB_SECRET ||
	    needle_make(needle, "region", p + PAGE, JOB_SECRET))
		tap_bail("no secret");
	ram_search("mapped, no descriptor", needle, mapped);
	munmap(p, REGION_PAGES * PAGE);
	ram_search("unmapped", needle, unmapped);
}

/* A region of one's own: the descriptor is closed first, then the mapping goes. */
static void test_region(void)
{
	struct hostlink_found mapped, unmapped, control = { .copies = 0 };
	int region = open_region(REGION_PAGES * PAGE);
	unsigned char *p = map(region, is_mlock());
	struct needle needle;

	for (int i = 0; i < ATTEMPTS && !control.copies; i++)
		fill_and_unmap(map(-1, false), &needle, &mapped, &control);
	close(region);
	fill_and_unmap(p, &needle, &mapped, &unmapped);
	ram_record("guest RAM at region close", &control, &unmapped, UNWIPED_PAGES);

	tap_ok(control.copies > 0,
	       "ordinary memory that is unmapped leaves its bytes in free memory (%llu)",
	       (unsigned long long)control.copies);
	if (ram_on_module())
		tap_ok(mapped.in_frames == 1 && !mapped.elsewhere,
		       "a region whose descriptor is closed holds what its mapping wrote, and nothing else does");
	if (!is_mlock())
		tap_ok(!unmapped.copies,
		       "once it is unmapped, its bytes are nowhere in RAM (%llu)",
		       (unsigned long long)unmapped.copies);
}

int main(void)
{
	if (hostlink_open())
		tap_skip_all("a virtual machine whose host can search it");
	if (!lethe_backend())
		tap_skip_all("the backend that was asked for");
	registers_look();
	tap_note("on %s", lethe_backend());
	tap_plan(ram_on_module() ? MODULE_POINTS :
		 is_mlock()      ? MLOCK_POINTS :
				   MEMFD_POINTS);
	test_section();
	if (ram_on_module()) {
		test_registers();
		test_threads();
	}
	test_ends();
	test_region();
	return tap_end();
}
