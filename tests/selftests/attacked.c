// SPDX-License-Identifier: MIT
/* The victim: as attacked.h says. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "attacked.h"
#include "lethe.h"
#include "tap.h"

struct shared *shared;
pid_t victim;

static uint64_t ordinary[WORDS];

void attacked_open(void)
{
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED || pipe(shared->told))
		tap_bail("mmap, pipe: %s", strerror(errno));
}

/* Asleep again and again, with the secret in registers and above the stack pointer. */
__attribute__((noinline)) static void stay(const uint64_t *secret)
{
	static const struct timespec moment = { 0, 1000000 };

	__asm__ volatile(
		"movq (%[secret]), %%r12\n\t"
		"movq 8(%[secret]), %%r13\n"
		"1:\tmovl %[call], %%eax\n\t"
		"movq %[moment], %%rdi\n\t"
		"xorl %%esi, %%esi\n\t"
		"syscall\n\t"
		"jmp 1b"
		:
		: [secret] "r"(secret), [moment] "r"(&moment), [call] "i"(SYS_nanosleep)
		: "rax", "rcx", "rdi", "rsi", "r11", "r12", "r13", "memory");
}

static void *read_as_thread(void *arg)
{
	(void)arg;
	shared->thread_reads = true;
	for (int i = 0; i < PLACES; i++)
		shared->thread_reads &= *shared->at[i] == ~shared->masked[0];
	return NULL;
}

/* Also in a file in memory, which is open, and mapped. */
static void plant_control(const uint64_t *secret)
{
	int fd = memfd_create("control", 0);
	void *map;

	memcpy(ordinary, secret, BYTES);
	if (fd < 0 || ftruncate(fd, PAGE))
		_exit(1);
	map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		_exit(1);
	memcpy(map, secret, BYTES);
}

static void in_section(void *arg)
{
	struct lethe_buffer *buffer = lethe_buffer_new(BYTES, 0);
	uint64_t secret[WORDS], *heap = lethe_malloc(BYTES);
	pthread_t thread;

	(void)arg;
	if (!buffer || !heap || getrandom(secret, BYTES, 0) != BYTES)
		_exit(1);
	for (int i = 0; i < WORDS; i++)
		shared->masked[i] = ~secret[i];
	memcpy(heap, secret, BYTES);
	memcpy(lethe_buffer_data(buffer), secret, BYTES);
	plant_control(secret);
	shared->at[ORDINARY] = ordinary;
	shared->at[STACK] = secret;
	shared->at[HEAP] = heap;
	shared->at[BUFFER] = lethe_buffer_data(buffer);
	if (pthread_create(&thread, NULL, read_as_thread, NULL) ||
	    pthread_join(thread, NULL))
		_exit(1);
	shared->inside = 1;
	stay(secret);
}

void become(uid_t user)
{
	if (!geteuid() && user != ROOT && (setgid(user) || setuid(user)))
		_exit(1);
	/* Who changes its user is not to be traced until it says so. */
	prctl(PR_SET_DUMPABLE, 1);
}

static void be_victim(bool dumpable)
{
	become(VICTIM);
	prctl(PR_SET_DUMPABLE, dumpable);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
	alarm(SECONDS_AT_MOST);
	_exit(lethe_do(in_section, NULL) ? 2 : 1);
}

void victim_start(bool dumpable)
{
	shared->inside = 0;
	fflush(stdout);
	victim = fork();
	if (!victim)
		be_victim(dumpable);
	while (victim > 0 && !shared->inside) {
		if (waitpid(victim, NULL, WNOHANG))
			tap_bail("no section to attack");
		usleep(1000);
	}
}

void victim_end(void)
{
	kill(victim, SIGKILL);
	waitpid(victim, NULL, 0);
}
