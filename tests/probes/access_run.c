// SPDX-License-Identifier: MIT
/*
 * Who is attacked, who attacks, and what was told of it.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../selftests/tap.h"
#include "access_run.h"

struct access_run *access_run;

static struct access_probe *probe;
static struct frames *frames;

void access_begin(void)
{
	static struct layout layout;
	const struct hook *hooks;
	const char *why;
	size_t nr;

	if (hook_possible(&why))
		tap_skip_all(why);
	if (layout_learn(&layout, &why) || frames_open(&frames, &layout, &why) ||
	    access_probe_open(&probe, frames, &why))
		tap_bail("%s", why);
	hooks = access_probe_hooks(probe, &nr);
	for (size_t i = 0; i < nr; i++)
		tap_note("%s: %s", hooks[i].name,
			 hooks[i].attached ? "attached" : hooks[i].why_not);
	gather_open(access_probe_ring(probe));
	access_run = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			  -1, 0);
	if (access_run == MAP_FAILED)
		tap_bail("mmap: %s", strerror(errno));
}

void access_end(void)
{
	access_probe_close(probe);
	frames_close(frames);
}

struct access_counts access_now(void)
{
	struct access_counts counts;

	if (access_probe_counts(probe, &counts))
		tap_bail("access_probe_counts() failed");
	return counts;
}

struct frames *access_frames(void)
{
	return frames;
}

bool access_sees(const char *hook)
{
	const struct hook *hooks;
	size_t nr;

	hooks = access_probe_hooks(probe, &nr);
	for (size_t i = 0; i < nr; i++) {
		if (!strcmp(hooks[i].name, hook))
			return hooks[i].attached;
	}
	return false;
}

static void *be_thread(void *unused)
{
	access_run->thread = syscall(SYS_gettid);
	access_run->ready = 1;
	for (;;)
		pause();
	return unused;
}

static void map_both(enum kind kind)
{
	char *area = kind_map(ORDINARY, NULL, 2);

	access_run->ordinary = (uintptr_t)area;
	access_run->secret = (uintptr_t)kind_map(kind, area + PAGE, 1);
}

void victim_be(enum kind kind)
{
	pthread_t thread;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
	map_both(kind);
	if (pthread_create(&thread, NULL, be_thread, NULL))
		_exit(127);
	for (;;)
		pause();
}

pid_t victim_start(enum kind kind)
{
	pid_t victim;

	memset(access_run, 0, sizeof(*access_run));
	victim = fork();
	if (!victim)
		victim_be(kind);
	for (int i = 0; i < 20000 && !access_run->ready; i++)
		usleep(1000);
	if (victim < 0 || !access_run->ready)
		tap_bail("a victim did not come");
	if (kind != ORDINARY && frames_refresh(frames, victim))
		tap_bail("frames_refresh() failed");
	return victim;
}

void victim_end(pid_t victim)
{
	kill(victim, SIGKILL);
	waitpid(victim, NULL, 0);
}

static pid_t await_attack(pid_t child)
{
	int status;

	if (child < 0 || waitpid(child, &status, 0) != child || status)
		tap_bail("an attacker ended with %#x", status);
	gather();
	return child;
}

pid_t attack(attack_fn *fn, pid_t victim, uint64_t address)
{
	pid_t child;

	gather_begin();
	child = fork();
	if (!child) {
		access_run->result = fn(victim, address);
		_exit(0);
	}
	return await_attack(child);
}

pid_t attack_own(attack_fn *fn, enum kind kind)
{
	pid_t child;

	gather_begin();
	memset(access_run, 0, sizeof(*access_run));
	child = fork();
	if (!child) {
		map_both(kind);
		access_run->ready = 1;
		while (access_run->ready == 1)
			usleep(1000);
		access_run->result = fn(getpid(), access_run->secret);
		_exit(0);
	}
	for (int i = 0; i < 20000 && !access_run->ready; i++)
		usleep(1000);
	if (kind != ORDINARY && frames_refresh(frames, child))
		tap_bail("frames_refresh() failed");
	access_run->ready = 2;
	return await_attack(child);
}

size_t access_told(pid_t attacker)
{
	struct event last;
	size_t nr = 0;

	for (int way = 0; way < ACCESS_WAYS; way++)
		nr += gathered_by(EVENT_ACCESS, attacker, way, &last);
	return nr;
}

bool access_told_one(pid_t attacker, enum access_way how, struct event *event)
{
	return gathered_by(EVENT_ACCESS, attacker, how, event) == 1;
}
