// SPDX-License-Identifier: MIT
/*
 * See job.h. Whoever links this has called registers_look().
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../selftests/registers.h"
#include "../selftests/tap.h"
#include "job.h"
#include "lethe.h"

/* A secret on the stack and on the heap, both let go of without a wipe. */
static __attribute__((noinline)) void hold_secret(void *arg)
{
	unsigned char on_stack[JOB_SECRET], *on_heap;
	struct job *job = arg;

	on_heap = job->alloc(JOB_SECRET);
	if (!on_heap || getrandom(on_stack, sizeof(on_stack), 0) != sizeof(on_stack))
		return;
	memcpy(on_heap, on_stack, JOB_SECRET);
	if (needle_make(&job->needle, "secret", on_stack, JOB_SECRET))
		return;
	job->good = true;
	job->secret = on_stack;
	job->inside(job);
	job->release(on_heap);
	/* On the stack until here, whatever the compiler thinks of it. */
	__asm__ volatile("" : : "r"(on_stack) : "memory");
}

void job_plainly(struct job *job)
{
	job->alloc = malloc;
	job->release = free;
	hold_secret(job);
}

void job_in_section(struct job *job)
{
	struct lethe_options options = {
		.size = sizeof(options),
		.flags = job->flags,
	};

	job->alloc = lethe_malloc;
	job->release = lethe_free;
	if (lethe_do_with(&options, hold_secret, job, NULL))
		job->good = false;
}

void job_tell(const struct job *job)
{
	if (needle_write(job->pipe, &job->needle))
		_exit(1);
}

void job_tell_and_wait(struct job *job)
{
	job_tell(job);
	for (;;)
		pause();
}

void job_tell_and_exit(struct job *job)
{
	job_tell(job);
	exit(0);
}

void job_tell_and_wait_full(struct job *job)
{
	uint64_t word;

	job_tell(job);
	memcpy(&word, job->secret, sizeof(word));
	job_sleep_full(&word, 3600, 0);
}

void job_sleep_full(uint64_t *secret, time_t seconds, long nanoseconds)
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

pid_t job_start(void (*how)(struct job *), void (*inside)(struct job *),
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

void job_wait_asleep(pid_t pid)
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

void job_kill(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
