// SPDX-License-Identifier: MIT
/*
 * The places that a secret can lie in, one function each.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "needle.h"
#include "plants.h"

struct shared *shared;
int pipe_ends[2];

/* Where a child plants: not const, so that it is in .bss and .data. */
static uint8_t in_bss[PLANT_SIZE];
static uint8_t in_data[PLANT_SIZE] = "not empty";

static void make(void *at, size_t length)
{
	if (getrandom(at, length, 0) != (ssize_t)length)
		_exit(1);
}

static void tell(const void *at, size_t length)
{
	struct needle needle;

	if (needle_make(&needle, "secret", at, length) ||
	    needle_write(pipe_ends[1], &needle))
		_exit(1);
}

static void plant(void *at, size_t length)
{
	make(at, length);
	tell(at, length);
}

_Noreturn void plant_rest(void)
{
	shared->ready = 1;
	for (;;)
		pause();
}

void plant_on_stack(void)
{
	uint8_t secret[PLANT_SIZE];

	plant(secret, sizeof(secret));
	/* Read by nobody, yet there for as long as this function is. */
	__asm__ volatile("" : : "r"(secret) : "memory");
	plant_rest();
}

static __attribute__((noinline)) void leave_on_stack(void)
{
	uint8_t secret[16384];

	plant(secret, PLANT_SIZE);
	__asm__ volatile("" : : "r"(secret) : "memory");
}

void plant_on_dead_stack(void)
{
	leave_on_stack();
	plant_rest();
}

void plant_on_heap(void)
{
	plant(malloc(PLANT_SIZE), PLANT_SIZE);
	plant_rest();
}

void plant_line_on_heap(void)
{
	uint8_t *at = malloc(NEEDLE_MIN);

	make(at, NEEDLE_MIN);
	for (int i = 0; i < NEEDLE_MIN; i++)
		at[i] |= 0x80;
	at[NEEDLE_MIN - 1] = '\n';
	tell(at, NEEDLE_MIN);
	plant_rest();
}

void plant_in_library_bss(void)
{
	plant(in_bss, PLANT_SIZE);
	plant_rest();
}

void plant_in_library_data(void)
{
	plant(in_data, PLANT_SIZE);
	plant_rest();
}

void plant_in_closed_pages(void)
{
	uint8_t *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	/* Across a page's end. */
	plant(p + 4096 - 11, PLANT_SIZE);
	mprotect(p, 8192, PROT_NONE);
	plant_rest();
}

void plant_in_locked_pages(void)
{
	uint8_t *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	if (mlock(p, 4096) || madvise(p, 4096, MADV_DONTDUMP))
		_exit(1);
	plant(p, PLANT_SIZE);
	plant_rest();
}

void plant_in_secret_pages(void)
{
	int fd = syscall(SYS_memfd_secret, 0);
	uint8_t *p;

	if (ftruncate(fd, 4096))
		_exit(1);
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	plant(p, PLANT_SIZE);
	plant_rest();
}

/* Into a register, out of memory, and round and round. */
void plant_in_vector_register(void)
{
	uint8_t secret[PLANT_SIZE];

	plant(secret, 16);
	__asm__ volatile("movdqu (%0), %%xmm9\n\t"
			 "movq $0, (%0)\n\t"
			 "movq $0, 8(%0)\n\t"
			 "movl $1, (%1)\n"
			 "1:\tpause\n\t"
			 "jmp 1b"
			 :
			 : "r"(secret), "r"(&shared->ready)
			 : "xmm9", "memory");
}

void plant_in_general_register(void)
{
	uint8_t secret[8];

	plant(secret, 8);
	__asm__ volatile("movq (%0), %%r12\n\t"
			 "movq $0, (%0)\n\t"
			 "movl $1, (%1)\n"
			 "1:\tpause\n\t"
			 "jmp 1b"
			 :
			 : "r"(secret), "r"(&shared->ready)
			 : "r12", "memory");
}

static void *thread_on_stack(void *arg)
{
	(void)arg;
	plant_on_stack();
	return NULL;
}

void plant_on_thread_stack(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, thread_on_stack, NULL))
		_exit(1);
	for (;;)
		pause();
}

void plant_behind_vfork(void)
{
	plant(malloc(PLANT_SIZE), PLANT_SIZE);
	shared->ready = 1;
	if (!vfork()) {
		/* It is this program still, and goes with it. */
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		for (;;)
			pause();
	}
	_exit(1);
}
