// SPDX-License-Identifier: MIT
/*
 * The ways of verify_subject that take threads, and those in which a section ends without a
 * return.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lethe.h"
#include "verify_subject.h"

static void *many(void *barrier)
{
	int i;

	for (i = 0; i < number; i++) {
		/* All of them end theirs at one moment. */
		pthread_barrier_wait(barrier);
		section(use);
	}
	return NULL;
}

int threads(void)
{
	pthread_barrier_t barrier;
	pthread_t thread[8];
	int i;

	pthread_barrier_init(&barrier, NULL, 8);
	for (i = 0; i < 8; i++)
		if (pthread_create(&thread[i], NULL, many, &barrier))
			return 22;
	for (i = 0; i < 8; i++)
		pthread_join(thread[i], NULL);
	return 0;
}

static void *end_thread(void *unused)
{
	section(use);
	return unused;
}

static pthread_barrier_t inside;

static void use_for_long(void *unused)
{
	unsigned char secret[SIZE];

	(void)unused;
	take(secret);
	pthread_barrier_wait(&inside);
	/* All the while in a register. */
	__asm__ volatile("movdqu (%0), %%xmm5\n"
			 "1:	pause\n"
			 "	cmpl $0, (%1)\n"
			 "	je 1b"
			 :
			 : "r"(secret), "r"(kept)
			 : "xmm5", "memory");
}

static void *use_long(void *unused)
{
	section(use_for_long);
	return unused;
}

/* At the end of one thread's section another is in the midst of its own. */
int midst(void)
{
	pthread_t thread;

	pthread_barrier_init(&inside, NULL, 2);
	if (pthread_create(&thread, NULL, use_long, NULL))
		return 22;
	pthread_barrier_wait(&inside);
	usleep(20000);
	section(use);
	kept[0] = 1;
	pthread_join(thread, NULL);
	return 0;
}

/* Threads come and go, while others end sections. */
int spawning(void)
{
	pthread_t thread[4];
	int i, k;

	for (i = 0; i < number; i++) {
		for (k = 0; k < 4; k++)
			if (pthread_create(&thread[k], NULL, end_thread, NULL))
				return 22;
		section(use);
		for (k = 0; k < 4; k++)
			pthread_join(thread[k], NULL);
	}
	return 0;
}

static void *leave(void *unused)
{
	pthread_t leader = *(pthread_t *)unused;

	pthread_join(leader, NULL);
	section(use);
	take(kept);
	exit(0);
}

/* Its first thread ends before the others. */
int leader(void)
{
	static pthread_t self;
	pthread_t thread;

	self = pthread_self();
	if (pthread_create(&thread, NULL, leave, &self))
		return 22;
	pthread_exit(NULL);
}

static void *spin(void *unused)
{
	for (;;)
		section(use);
	return unused;
}

/* A thread executes another program, while others end sections. */
int threads_exec(void)
{
	pthread_t thread[4];
	int i;

	for (i = 0; i < 4; i++)
		if (pthread_create(&thread[i], NULL, spin, NULL))
			return 22;
	usleep(50000);
	execl("/proc/self/exe", "again", "clean", file, "1", NULL);
	return 25;
}

int threads_exit(void)
{
	pthread_t thread[4];
	int i;

	for (i = 0; i < 4; i++)
		if (pthread_create(&thread[i], NULL, spin, NULL))
			return 22;
	usleep(50000);
	exit(0);
}

static void *vforking(void *unused)
{
	if (!vfork()) {
		execl("/bin/sleep", "sleep", "0", NULL);
		_exit(25);
	}
	return unused;
}

static void *slow_vfork(void *unused)
{
	pid_t pid = vfork();

	if (!pid) {
		const struct timespec a_while = { .tv_sec = 1 };

		syscall(SYS_nanosleep, &a_while, NULL);
		_exit(0);
	}
	return unused;
}

/* A thread that waits for its child of vfork(2), as another ends a section. */
int vforks(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, number ? slow_vfork : vforking, NULL))
		return 22;
	usleep(200000);
	section(use);
	pthread_join(thread, NULL);
	return 0;
}

static void end_thread_inside(void *unused)
{
	use(unused);
	pthread_exit(NULL);
}

static void *thread_that_ends_inside(void *unused)
{
	section(end_thread_inside);
	return unused;
}

static jmp_buf out;

static void jump_out(void *unused)
{
	use(unused);
	longjmp(out, 1);
}

/* Every way in which a section ends without a return: so many are counted. */
int ends(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, thread_that_ends_inside, NULL))
		return 22;
	pthread_join(thread, NULL);
	if (!setjmp(out))
		section(jump_out);
	return lethe_wipe_thread() ? 34 : 0;
}
