// SPDX-License-Identifier: MIT
/*
 * lethectl status on a real machine, with the module and without: whose regions it
 * tells of, to whom, and by what exit status. The one argument is lethectl.
 */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/lethe.h>

#include "../selftests/tap.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

#define HIBERNATE "/sys/module/lethe/parameters/hibernate"
#define NOBODY 65534
/* What no region of the library's is: so many pages. */
#define PAGES 37

static const char *lethectl;
static int exit_status;
static struct json_object *said;

/* Asks once more, as that user. */
static void ask(uid_t uid)
{
	static char text[1 << 18];
	size_t at = 0;
	ssize_t n;
	int pipes[2], status;
	pid_t pid;

	json_object_put(said);
	if (pipe(pipes))
		tap_bail("pipe: %s", strerror(errno));
	pid = fork();
	if (!pid) {
		dup2(pipes[1], STDOUT_FILENO);
		close(pipes[0]);
		close(pipes[1]);
		if (uid && (setgid(uid) || setuid(uid)))
			_exit(126);
		execl(lethectl, lethectl, "status", "--json", NULL);
		_exit(127);
	}
	close(pipes[1]);
	while ((n = read(pipes[0], text + at, sizeof(text) - 1 - at)) > 0)
		at += (size_t)n;
	text[at] = '\0';
	close(pipes[0]);
	waitpid(pid, &status, 0);
	exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	said = json_tokener_parse(text);
	if (!said)
		tap_bail("%s status --json: %d: %.200s", lethectl, exit_status, text);
}

static struct json_object *member(struct json_object *of, const char *name)
{
	struct json_object *it = NULL;

	json_object_object_get_ex(of, name, &it);
	return it;
}

static bool text_is(struct json_object *of, const char *name, const char *text)
{
	struct json_object *it = member(of, name);

	return it && !strcmp(json_object_get_string(it), text);
}

static long long number(struct json_object *of, const char *name)
{
	struct json_object *it = member(of, name);

	return it ? json_object_get_int64(it) : -1;
}

/* Of a list, the object that has this as this member. */
static struct json_object *of_list(const char *list, const char *name, const char *text)
{
	struct json_object *all = member(said, list), *one, *it;
	size_t i;

	for (i = 0; i < json_object_array_length(all); i++) {
		one = json_object_array_get_idx(all, i);
		it = member(one, name);
		if (it && !strcmp(json_object_get_string(it), text))
			return one;
	}
	return NULL;
}

static bool state_is(const char *check, const char *state)
{
	return text_is(of_list("machine", "check", check), "state", state);
}

static struct json_object *holder_of(pid_t pid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	return of_list("holders", "pid", text);
}

static int make_region(unsigned int pages)
{
	struct lethe_create args = { .size = sizeof(args), .length = pages * 4096ULL };
	int device = open(LETHE_DEVICE, O_RDWR | O_CLOEXEC), fd;

	fd = ioctl(device, LETHE_IOC_CREATE, &args);
	if (fd < 0)
		tap_bail("LETHE_IOC_CREATE: %s", strerror(errno));
	close(device);
	return fd;
}

static void hibernate_is(const char *mode)
{
	int fd = open(HIBERNATE, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, mode, strlen(mode)) < 0)
		tap_bail(HIBERNATE ": %s", strerror(errno));
	close(fd);
}

/* A child that makes a region, has one of its own keep it, and ends. The latter's pid. */
static pid_t orphan_region(void)
{
	int pipes[2];
	pid_t pid, keeper = 0;

	if (pipe(pipes))
		tap_bail("pipe: %s", strerror(errno));
	pid = fork();
	if (!pid) {
		prctl(PR_SET_NAME, "who-went");
		make_region(3);
		keeper = fork();
		if (!keeper) {
			close(pipes[0]);
			close(pipes[1]);
			for (;;)
				pause();
		}
		_exit(write(pipes[1], &keeper, sizeof(keeper)) != sizeof(keeper));
	}
	close(pipes[1]);
	if (read(pipes[0], &keeper, sizeof(keeper)) != sizeof(keeper))
		tap_bail("a child of the test failed");
	close(pipes[0]);
	waitpid(pid, NULL, 0);
	return keeper;
}

static void test_module(void)
{
	struct json_object *module, *holder;
	pid_t keeper;
	int region;

	region = make_region(PAGES);
	ask(0);
	module = member(said, "module");
	tap_ok(text_is(said, "backend", "kmod") && text_is(said, "level", "unmapped"),
	       "the module is the backend");
	tap_ok(exit_status == 0 && text_is(said, "verdict", "clean") &&
		       state_is("backend", "fine") && state_is("module", "fine"),
	       "and nothing of it is lacking: clean");
	tap_ok(number(module, "version") == LETHE_ABI_VERSION &&
		       number(module, "pages_used") >= PAGES &&
		       number(module, "regions") >= 1 && number(module, "wipes") >= 0 &&
		       number(module, "keep_blocks") >= 0,
	       "what it has is told, to root its wipes too");
	holder = holder_of(getpid());
	tap_ok(number(holder, "kmod_bytes") == PAGES * 4096 &&
		       number(holder, "kmod_regions") == 1,
	       "so is who holds a region");
	ask(NOBODY);
	module = member(said, "module");
	tap_ok(text_is(said, "backend", "kmod") &&
		       number(module, "pages_used") >= PAGES &&
		       number(module, "wipes") == -1 && !holder_of(getpid()),
	       "not to another user, who is told how many pages there are");
	close(region);
	ask(0);
	tap_ok(!holder_of(getpid()), "a region that is closed is nobody's");
	keeper = orphan_region();
	ask(0);
	holder = of_list("holders", "command", "who-went");
	tap_ok(holder && !member(holder, "pid") &&
		       number(holder, "kmod_bytes") == 3 * 4096,
	       "one whose maker has ended is told of without a number");
	kill(keeper, SIGKILL);
	hibernate_is("veto");
	ask(0);
	tap_ok(text_is(member(said, "module"), "hibernate", "veto"),
	       "what it does at a hibernation is told");
	hibernate_is("wipe");
	chmod(LETHE_DEVICE, 0600);
	ask(NOBODY);
	tap_ok(!text_is(said, "backend", "kmod") && state_is("module", "lacks"),
	       "a device that a user cannot open is lacking");
	chmod(LETHE_DEVICE, 0666);
}

static void test_no_module(void)
{
	long fd = syscall(SYS_memfd_secret, 0);

	ask(0);
	tap_ok(!member(said, "module") && state_is("module", "lacks"),
	       "no module is lacking");
	if (fd < 0) {
		tap_ok(exit_status == 1 && text_is(said, "verdict", "violation") &&
			       text_is(said, "level", "locked") &&
			       state_is("backend", "violation") &&
			       state_is("secretmem", "lacks"),
		       "nor is memfd_secret there: pages are only locked, a violation");
		tap_skip("memfd_secret", "who has one open holds it");
		return;
	}
	tap_ok(text_is(said, "backend", "memfd_secret") &&
		       text_is(said, "level", "unmapped") &&
		       state_is("backend", "fine") && state_is("secretmem", "fine"),
	       "memfd_secret is the backend");
	tap_ok(number(holder_of(getpid()), "memfd_secret_descriptors") == 1,
	       "who has one open holds it");
	close((int)fd);
}

int main(int argc, char **argv)
{
	bool module = !access(LETHE_DEVICE, F_OK);

	if (argc != 2)
		tap_bail("usage: status_guest LETHECTL");
	lethectl = argv[1];
	if (geteuid())
		tap_skip_all("root");
	unsetenv("LETHE_BACKEND");
	tap_plan(module ? 9 : 3);
	if (module)
		test_module();
	else
		test_no_module();
	json_object_put(said);
	return tap_end();
}
