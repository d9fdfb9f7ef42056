// SPDX-License-Identifier: MIT
/*
 * Bad days: no backend, no quota, a level that cannot be had. Each is an error
 * of lethe_do() before its function runs, and leaves nothing behind. A child a
 * case: a process chooses its backend once.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lethe.h"
#include "tap.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

#define NOBODY 65534

static bool ran;

static void note(void *arg)
{
	(void)arg;
	ran = true;
}

/* What lethe_do() answers, plus 1000 if its function ran all the same. */
static int answer(void)
{
	int err;

	ran = false;
	err = lethe_do(note, NULL);
	return -err + (err && ran ? 1000 : 0);
}

/* The exit status of a child that runs @fn, or minus the signal it died of. */
static int in_child(int (*fn)(const void *), const void *arg)
{
	int status = 0, quiet;
	pid_t pid;

	pid = fork();
	if (pid < 0)
		tap_bail("fork: %s", strerror(errno));
	if (!pid) {
		/* The library's line on stderr is expected, and not of interest. */
		quiet = open("/dev/null", O_WRONLY);
		dup2(quiet, STDERR_FILENO);
		close(quiet);
		_exit(fn(arg));
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

struct setting {
	const char *backend, *require;
};

static int with_setting(const void *arg)
{
	const struct setting *setting = arg;

	unsetenv("LETHE_BACKEND");
	if (setting->backend)
		setenv("LETHE_BACKEND", setting->backend, 1);
	if (setting->require)
		setenv("LETHE_REQUIRE", setting->require, 1);
	return answer();
}

static int try(const char *backend, const char *require)
{
	const struct setting setting = { backend, require };

	return in_child(with_setting, &setting);
}

static void test_settings(void)
{
	tap_ok(try("mlock", "locked") == 0,
	       "LETHE_BACKEND=mlock LETHE_REQUIRE=locked runs");
	tap_ok(try("mlock", "unmapped") == EOPNOTSUPP,
	       "LETHE_REQUIRE=unmapped with mlock only is EOPNOTSUPP, the function not run");
	tap_ok(try("tape", NULL) == EINVAL,
	       "a LETHE_BACKEND that there is not is EINVAL");
	tap_ok(try(NULL, "more") == EINVAL,
	       "a LETHE_REQUIRE that there is not is EINVAL");
	if (access("/dev/lethe", F_OK) == 0)
		tap_ok(try("kmod", "unmapped") == 0,
		       "LETHE_BACKEND=kmod runs, /dev/lethe there");
	else
		tap_ok(try("kmod", NULL) == EOPNOTSUPP,
		       "LETHE_BACKEND=kmod without /dev/lethe is EOPNOTSUPP, the function not run");
}

/* As on a kernel that was built or booted without it. */
static void refuse_memfd_secret(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_memfd_secret, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		_exit(99);
}

static int without_memfd_secret(const void *arg)
{
	const struct setting *setting = arg;
	int err;

	refuse_memfd_secret();
	err = with_setting(setting);
	if (err)
		return err;
	/* The module, where it is, comes first; memfd_secret never. */
	return strcmp(lethe_backend(), access("/dev/lethe", F_OK) ? "mlock" : "kmod") ?
		       98 :
		       0;
}

static void test_without_memfd_secret(void)
{
	const struct setting any = { NULL, NULL }, forced = { "memfd_secret", NULL };

	tap_ok(in_child(without_memfd_secret, &any) == 0,
	       "a kernel without memfd_secret: the next backend is used");
	tap_ok(in_child(without_memfd_secret, &forced) == EOPNOTSUPP,
	       "LETHE_BACKEND=memfd_secret there is EOPNOTSUPP, the function not run");
}

static unsigned int open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	if (!dir)
		_exit(97);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static long locked_kib(void)
{
	char line[4096], *at;
	ssize_t n;
	int fd;

	fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	n = read(fd, line, sizeof(line) - 1);
	close(fd);
	if (n < 0)
		_exit(96);
	line[n] = 0;
	at = strstr(line, "VmLck:");
	return at ? strtol(at + 6, NULL, 10) : -1;
}

static void set_memlock(rlim_t bytes)
{
	struct rlimit limit;

	getrlimit(RLIMIT_MEMLOCK, &limit);
	limit.rlim_cur = bytes;
	if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		_exit(95);
}

/* A limit for somebody whom limits bind, then enough of it. */
static int with_small_limit(const void *arg)
{
	const rlim_t *bytes = arg;
	unsigned int descriptors;
	struct rlimit enough;
	long locked;
	int i;

	getrlimit(RLIMIT_MEMLOCK, &enough);
	if (!geteuid() && (setgid(NOBODY) || setuid(NOBODY)))
		return 94;
	set_memlock(*bytes);
	descriptors = open_descriptors();
	locked = locked_kib();
	for (i = 0; i < 3; i++)
		if (answer() != ENOMEM)
			return 93;
	if (open_descriptors() != descriptors || locked_kib() != locked)
		return 92;
	set_memlock(enough.rlim_max);
	return answer();
}

static void test_limit(void)
{
	static const struct {
		rlim_t bytes;
		const char *what;
	} limits[] = {
		{ 0, "of zero" },
		{ 4096, "of a page" },
		{ 64 * 1024, "of 64 KiB" },
		{ 256 * 1024 - 4096, "a page short of a stack" },
	};
	size_t i;
	int err;

	for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		err = in_child(with_small_limit, &limits[i].bytes);
		tap_ok(!err,
		       "a RLIMIT_MEMLOCK %s is ENOMEM: nothing runs, leaks or is killed; then it is raised, and runs (%d)",
		       limits[i].what, err);
	}
}

/* What it would be, and what it is after a time without a descriptor to be had. */
static int without_descriptors(const void *arg)
{
	const char *best = arg;
	struct rlimit limit, none = { 0, 0 };

	unsetenv("LETHE_BACKEND");
	getrlimit(RLIMIT_NOFILE, &limit);
	none.rlim_max = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &none) < 0)
		return 91;
	if (answer() != EMFILE || answer() != EMFILE || lethe_backend())
		return 90;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (answer() || !lethe_backend())
		return 89;
	return strcmp(lethe_backend(), best) != 0;
}

static int name_best(const void *arg)
{
	unsetenv("LETHE_BACKEND");
	if (answer() || !lethe_backend())
		return 1;
	strcpy((char *)arg, lethe_backend());
	return 0;
}

static void test_descriptors(void)
{
	char *best = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			  -1, 0);
	int err;

	if (best == MAP_FAILED || in_child(name_best, best))
		tap_bail("no backend");
	err = in_child(without_descriptors, best);
	tap_ok(!err,
	       "no descriptor free is EMFILE, the function not run; then there is one, and %s is used (%d)",
	       best, err);
}

/* A thread's stack is given back by a key's destructor. */
static void take_all_keys(void)
{
	pthread_key_t key;

	while (!pthread_key_create(&key, NULL))
		;
}

static int without_keys(const void *arg)
{
	(void)arg;
	take_all_keys();
	return answer();
}

static void *note_thread(void *arg)
{
	note(arg);
	return NULL;
}

static int thread_without_keys(const void *arg)
{
	pthread_t thread;

	(void)arg;
	take_all_keys();
	return -lethe_thread_create(&thread, NULL, note_thread, NULL);
}

int main(void)
{
	tap_plan(14);
	test_settings();
	test_without_memfd_secret();
	test_limit();
	test_descriptors();
	tap_ok(in_child(without_keys, NULL) == EAGAIN,
	       "without a thread-specific key that is left it is EAGAIN, the function not run");
	tap_ok(in_child(thread_without_keys, NULL) == EAGAIN,
	       "and so is a thread that is to be a section, before there is one");
	return tap_end();
}
