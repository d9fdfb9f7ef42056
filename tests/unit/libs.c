// SPDX-License-Identifier: MIT
/*
 * Runs a library's use in every order that matters, and prints how many blocks it left
 * in a section: cold (its first use in the process) and warm. What it leaves cold is
 * what it set up for the rest of the process.
 *
 * The program is linked with liblethe-malloc, or it is preloaded: see rules.mk.
 */
#include "libs.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct run {
	const struct library *library;
	struct use use;
	bool whole;
	struct lethe_report report;
	int err;
};

static void body(void *arg)
{
	struct run *run = arg;

	run->library->use(&run->use);
	if (run->whole)
		run->library->done(&run->use);
}

/* @whole: freed in it too. */
static void run_in_section(struct run *run, const struct library *library, bool whole)
{
	memset(run, 0, sizeof(*run));
	run->library = library;
	run->whole = whole;
	run->report.size = sizeof(run->report);
	run->err = lethe_do_with(NULL, body, run, &run->report);
}

static void free_what_is_left(void *arg)
{
	struct run *run = arg;

	run->library->done(&run->use);
}

static void *free_in_thread(void *arg)
{
	free_what_is_left(arg);
	return NULL;
}

static void check_objects(const struct run *run, bool in_section, const char *when)
{
	const struct use *use = &run->use;
	unsigned int i;

	cr_assert_eq(run->err, 0, "%s, %s: lethe_do: %s", run->library->name, when,
		     strerror(-run->err));
	cr_assert(use->good, "%s, %s: the result is wrong", run->library->name, when);
	for (i = 0; i < OBJECTS_MAX; i++) {
		cr_assert(!use->objects[i] || secret(use->objects[i]) == in_section,
			  "%s, %s: object %u is %s", run->library->name, when, i,
			  in_section ? "ordinary" : "secret");
		cr_assert(!use->ordinary[i] || !secret(use->ordinary[i]),
			  "%s, %s: object %u is secret", run->library->name, when, i);
	}
}

/* Nothing of the library was there before, but for what its constructors do. */
static void run_to_the_end(const struct library *library, struct run runs[2])
{
	pid_t pid = fork();
	int status;

	cr_assert_geq(pid, 0);
	if (!pid) {
		alarm(60);
		run_in_section(&runs[0], library, true);
		run_in_section(&runs[1], library, true);
		exit(runs[0].err || runs[1].err || !runs[0].use.good ||
		     !runs[1].use.good);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0, "%s to the process's end: status %#x", library->name,
		     status);
}

void check_library(const struct library *library)
{
	struct run *runs = mmap(NULL, 2 * sizeof(*runs), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct run cold, warm, outside = { .library = library };
	pthread_t thread;

	cr_assert_neq(runs, MAP_FAILED);
	run_to_the_end(library, runs);
	printf("# blocks left by %s: cold %zu, warm %zu\n", library->name,
	       runs[0].report.blocks_live, runs[1].report.blocks_live);
	fflush(stdout);

	run_in_section(&cold, library, false);
	check_objects(&cold, true, "cold");
	cr_assert_eq(pthread_create(&thread, NULL, free_in_thread, &cold), 0);
	pthread_join(thread, NULL);

	run_in_section(&warm, library, false);
	check_objects(&warm, true, "warm");
	free_what_is_left(&warm);

	library->use(&outside.use);
	check_objects(&outside, false, "outside");
	cr_assert_eq(memcmp(cold.use.result, outside.use.result, RESULT_MAX), 0,
		     "%s: another result inside than outside", library->name);
	cr_assert_eq(memcmp(warm.use.result, outside.use.result, RESULT_MAX), 0,
		     "%s: another result when it is warm", library->name);
	cr_assert_eq(lethe_do(free_what_is_left, &outside), 0);
	munmap(runs, 2 * sizeof(*runs));
}

bool loopback(int sockets[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval patience = { .tv_sec = 30 };
	socklen_t length = sizeof(address);
	int i, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool good;

	sockets[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	good = !bind(listener, (struct sockaddr *)&address, length) &&
	       !listen(listener, 1) &&
	       !getsockname(listener, (struct sockaddr *)&address, &length) &&
	       !connect(sockets[0], (struct sockaddr *)&address, length);
	sockets[1] = good ? accept(listener, NULL, NULL) : -1;
	for (i = 0; i < 2; i++) {
		setsockopt(sockets[i], SOL_SOCKET, SO_RCVTIMEO, &patience,
			   sizeof(patience));
		setsockopt(sockets[i], SOL_SOCKET, SO_SNDTIMEO, &patience,
			   sizeof(patience));
	}
	close(listener);
	return good && sockets[1] >= 0;
}

int catch_stderr(void)
{
	int fd = memfd_create("stderr", 0);

	cr_assert_geq(fd, 0);
	cr_assert_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	return fd;
}

const char *caught(int fd)
{
	static char said[4096];
	ssize_t n = pread(fd, said, sizeof(said) - 1, 0);

	said[n > 0 ? n : 0] = 0;
	return said;
}
