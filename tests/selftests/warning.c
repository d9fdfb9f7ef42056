// SPDX-License-Identifier: MIT
/*
 * Protection is never lowered silently: one line on stderr where the best that there
 * is is locked memory, none where somebody asked for that, or where there is better.
 * A child a case, on a machine with nothing better than mlock: as it is, or as
 * seccomp and a mount make it.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "child.h"
#include "lethe.h"
#include "tap.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

#define CANNOT 77

/* As on a machine without the module. */
static int hide_module(void)
{
	if (access("/dev/lethe", F_OK))
		return 0;
	return unshare(CLONE_NEWNS) ||
			       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
			       mount("/dev/null", "/dev/lethe", NULL, MS_BIND, NULL) ?
		       -1 :
		       0;
}

/* As on a kernel that was built or booted without it. */
static int refuse_memfd_secret(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_memfd_secret, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
			       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ?
		       -1 :
		       0;
}

static void count_run(void *arg)
{
	__atomic_fetch_add((unsigned int *)arg, 1, __ATOMIC_RELAXED);
}

static void *run_three(void *arg)
{
	unsigned int i;

	for (i = 0; i < 3; i++)
		(void)lethe_do(count_run, arg);
	return NULL;
}

/* Four threads of three sections each; the status says which backend it was. */
static int run_sections(void)
{
	const char *backend;
	pthread_t threads[4];
	unsigned int runs = 0, i;

	for (i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, run_three, &runs);
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	backend = lethe_backend();
	if (runs != 12 || !backend)
		return 1;
	return 10 + !strcmp(backend, "mlock");
}

struct setting {
	const char *backend, *require;
};

static void set(const struct setting *setting)
{
	unsetenv("LETHE_BACKEND");
	unsetenv("LETHE_REQUIRE");
	if (setting->backend)
		setenv("LETHE_BACKEND", setting->backend, 1);
	if (setting->require)
		setenv("LETHE_REQUIRE", setting->require, 1);
}

static int as_it_is(void *arg)
{
	set(arg);
	return run_sections();
}

static int without_better(void *arg)
{
	set(arg);
	if (hide_module() || refuse_memfd_secret())
		return CANNOT;
	return run_sections();
}

static void judge(const struct ended *ended, unsigned int lines, const char *what)
{
	if (exited_with(ended, CANNOT)) {
		tap_skip("the right to hide /dev/lethe", "%s", what);
		return;
	}
	tap_ok(exited_with(ended, 11) && lines_with(ended, "lethe: ") == lines &&
		       lines_with(ended, "") == lines + 1,
	       "%s (%s, \"%.*s\")", what, how_ended(ended),
	       (int)strcspn(ended->said, "\n"), ended->said);
}

int main(void)
{
	struct setting any = { NULL, NULL }, mlock = { "mlock", NULL },
		       locked = { NULL, "locked" };
	struct ended ended;

	tap_plan(5);
	run_child(without_better, &any, &ended);
	judge(&ended, 1,
	      "with nothing better than mlock 12 sections in 4 threads say so in one line");
	if (!exited_with(&ended, CANNOT))
		tap_ok(lines_with(&ended, "locked") == 1 &&
			       lines_with(&ended, "lethe.ko") == 1,
		       "it says what is lower, and what would help");
	else
		tap_skip("the right to hide /dev/lethe", "what the line says");
	run_child(without_better, &mlock, &ended);
	judge(&ended, 0, "who asks for LETHE_BACKEND=mlock is told nothing");
	run_child(without_better, &locked, &ended);
	judge(&ended, 0, "nor who says LETHE_REQUIRE=locked");

	run_child(as_it_is, &any, &ended);
	if (exited_with(&ended, 11))
		tap_skip("a machine with memfd_secret or the module",
			 "nothing is said there");
	else
		tap_ok(exited_with(&ended, 10) && !ended.said[0],
		       "with unmapped memory nothing is said (%s)", how_ended(&ended));
	return tap_end();
}
