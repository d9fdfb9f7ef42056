// SPDX-License-Identifier: MIT
/*
 * Hibernation: what becomes of regions before it, during it and after it. Each
 * region of the machine is lost while this runs: not beside other tests.
 *
 * /dev/snapshot is the short way: opening it begins a hibernation (or, for
 * writing, the resumption of one), closing it ends it, and nothing is frozen in
 * between. The long way, through /sys/power/state, has no disk to write to here
 * and so fails with its image made.
 */
#include <poll.h>
#include <setjmp.h>
#include <sys/syscall.h>

#include "door.h"

#define NR ((size_t)8)
#define SNAPSHOT "/dev/snapshot"
#define STATE "/sys/power/state"
#define MODE "/sys/module/lethe/parameters/hibernate"

static sigjmp_buf jump;

static void jump_out(int number)
{
	siglongjmp(jump, number);
}

/* The signal that a read (or a write) of @p ends with; 0 if it works. */
static int touch(volatile unsigned char *p, bool writing)
{
	struct sigaction action = { .sa_handler = jump_out }, bus, segv;
	int number;

	sigaction(SIGBUS, &action, &bus);
	sigaction(SIGSEGV, &action, &segv);
	number = sigsetjmp(jump, 1);
	if (!number) {
		if (writing)
			*p = 1;
		else
			(void)*p;
	}
	sigaction(SIGBUS, &bus, NULL);
	sigaction(SIGSEGV, &segv, NULL);
	return number;
}

static bool is_gone(unsigned char *map, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (touch(map + i * PAGE, false) != SIGBUS ||
		    touch(map + i * PAGE, true) != SIGBUS)
			return false;
	return true;
}

static bool read_text(const char *path, char *text, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, room - 1);

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = 0;
	return n > 0;
}

/* 0 or -errno. */
static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

static bool mode_is(const char *wanted)
{
	char mode[16];

	return read_text(MODE, mode, sizeof(mode)) &&
	       !strncmp(mode, wanted, strlen(wanted));
}

static void must_set_mode(const char *mode)
{
	int err = write_text(MODE, mode);

	if (err || !mode_is(mode))
		tap_bail("hibernate=%s: %s", mode, strerror(-err));
}

static bool disk_is_offered(void)
{
	char states[64];

	return read_text(STATE, states, sizeof(states)) && strstr(states, "disk");
}

static int must_snapshot(int how)
{
	int fd = open(SNAPSHOT, how | O_CLOEXEC);

	if (fd < 0)
		tap_bail("%s: %s", SNAPSHOT, strerror(errno));
	return fd;
}

static int map_error(int fd)
{
	void *map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		return errno;
	munmap(map, PAGE);
	return 0;
}

static int events_of(int fd)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };

	return poll(&poller, 1, 0) < 0 ? -1 : poller.revents;
}

static long locked_kb(void)
{
	char status[4096];
	const char *line;

	if (!read_text("/proc/self/status", status, sizeof(status)))
		return -1;
	line = strstr(status, "VmLck:");
	return line ? atol(line + 6) : -1;
}

/* Asleep in poll() until the region goes, which is how a program would know. */
static pid_t start_poller(int fd)
{
	pid_t pid = must_fork();

	if (!pid) {
		struct pollfd poller = { .fd = fd };

		_exit(poll(&poller, 1, 20000) == 1 &&
				      poller.revents == (POLLHUP | POLLERR) ?
			      0 :
			      1);
	}
	usleep(100 * 1000);
	return pid;
}

/* A process with a mapping of its own; it says what is left on command. */
static pid_t start_mapper(int fd, int *tell)
{
	int ends[2], ready[2];
	pid_t pid;
	char byte;

	if (pipe(ends) || pipe(ready))
		tap_bail("pipe: %s", strerror(errno));
	pid = must_fork();
	if (!pid) {
		unsigned char *map = must_map(fd, NR * PAGE);

		close(ends[1]);
		map[0] = 0x5a;
		if (write(ready[1], "", 1) != 1 || read(ends[0], &byte, 1) < 0)
			_exit(2);
		_exit(is_gone(map, NR) ? 0 : 1);
	}
	close(ends[0]);
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		tap_bail("a child cannot map the region");
	close(ready[0]);
	*tell = ends[1];
	return pid;
}

static void test_wipe(void)
{
	struct lethe_query before = must_query(), during;
	long locked_before = locked_kb();
	int fd = must_create(NR * PAGE), pipes[2], tell, snapshot;
	unsigned char *map = must_map(fd, NR * PAGE), *parts, *moved;
	pid_t poller, mapper;

	parts = must_map(fd, NR * PAGE);
	munmap(parts + PAGE, PAGE);
	mprotect(parts + 3 * PAGE, PAGE, PROT_READ);
	moved = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	moved = mremap(parts + 4 * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		       moved);
	if (pipe(pipes) || moved == MAP_FAILED)
		tap_bail("pipe, mremap: %s", strerror(errno));
	memset(map, 0xa7, NR * PAGE);
	mapper = start_mapper(fd, &tell);
	poller = start_poller(fd);
	tap_ok(!touch(map, true) && !events_of(fd) && locked_kb() > locked_before,
	       "before hibernation a region is there, charged, and poll() says nothing");

	snapshot = must_snapshot(O_RDONLY);
	during = must_query();
	tap_ok(is_gone(map, NR),
	       "as it begins, every page of a region faults with SIGBUS");
	tap_ok(is_gone(parts, 1) && is_gone(parts + 2 * PAGE, 1) &&
		       touch(parts + 3 * PAGE, false) == SIGBUS && is_gone(moved, 1),
	       "also where a mapping was cut, made read-only or moved");
	close(tell);
	tap_ok(!end_of(mapper), "also in another process");
	tap_ok(!end_of(poller) && events_of(fd) == (POLLHUP | POLLERR),
	       "poll() wakes with POLLHUP and POLLERR, and goes on saying so");
	tap_ok(map_error(fd) == ESTALE, "mmap of it is ESTALE");
	tap_ok(write(pipes[1], map, 16) == -1 && errno == EFAULT,
	       "a system call that reads from it is EFAULT");
	tap_ok(locked_kb() == locked_before && during.regions == before.regions &&
		       !during.pages_used,
	       "its pages are given up, and what it was charged is returned");
	tap_ok(!during.blocks && !during.pages_free,
	       "no block is left out of the direct map");

	close(snapshot);
	tap_ok(is_gone(map, NR) && map_error(fd) == ESTALE &&
		       events_of(fd) == (POLLHUP | POLLERR),
	       "afterwards it stays as it is");
	munmap(map, NR * PAGE);
	munmap(parts, NR * PAGE);
	munmap(moved, PAGE);
	close(fd);
	during = must_query();
	tap_ok(locked_kb() == locked_before && during.regions == before.regions &&
		       during.pages_used == before.pages_used,
	       "its end gives nothing up a second time");
	close(pipes[0]);
	close(pipes[1]);
}

static void test_create(void)
{
	int snapshot = must_snapshot(O_RDONLY);
	struct sigaction action = { .sa_handler = jump_out };
	unsigned char *map;
	int status;
	pid_t pid;

	pid = must_fork();
	if (!pid) {
		sigaction(SIGALRM, &action, NULL);
		if (sigsetjmp(jump, 1))
			_exit(0);
		alarm(1);
		create(PAGE);
		_exit(1);
	}
	tap_ok(!end_of(pid), "CREATE waits, and a signal ends that");

	pid = must_fork();
	if (!pid) {
		int fd;

		/* It would keep the hibernation open that it waits for. */
		close(snapshot);
		fd = create(PAGE);
		map = fd < 0 ? NULL : must_map(fd, PAGE);
		_exit(map && all_are(map, 0, PAGE) ? 0 : 1);
	}
	usleep(300 * 1000);
	status = waitpid(pid, NULL, WNOHANG);
	close(snapshot);
	tap_ok(!status && !end_of(pid), "and goes on where it waited, once that is over");
}

/* Makes mappings until it may not, and tells what the last of them is worth. */
static int map_until_revoked(int fd)
{
	struct pollfd poller = { .fd = fd };
	unsigned char *last = NULL, *map;

	for (;;) {
		map = mmap(NULL, NR * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (map == MAP_FAILED)
			break;
		if (last)
			munmap(last, NR * PAGE);
		last = map;
	}
	return errno == ESTALE && poll(&poller, 1, 20000) == 1 &&
			       (!last || is_gone(last, NR)) ?
		       0 :
		       1;
}

static void test_race(void)
{
	enum { ROUNDS = 60, PROCESSES = 3 };
	int bad = 0;

	for (int round = 0; round < ROUNDS; round++) {
		int fd = must_create(NR * PAGE), snapshot;
		pid_t pids[PROCESSES];

		for (int i = 0; i < PROCESSES; i++) {
			pids[i] = must_fork();
			if (!pids[i])
				_exit(map_until_revoked(fd));
		}
		usleep(3000 + round * 50);
		snapshot = must_snapshot(O_RDONLY);
		for (int i = 0; i < PROCESSES; i++)
			bad += !!end_of(pids[i]);
		close(snapshot);
		close(fd);
	}
	tap_ok(!bad, "no mapping made at that very moment survives (%d of %d did)", bad,
	       ROUNDS * PROCESSES);
}

static void test_veto(void)
{
	int fd = must_create(PAGE), snapshot, err;
	unsigned char *map = must_map(fd, PAGE);

	map[0] = 0x5a;
	tap_ok(write_text(MODE, "never") == -EINVAL && mode_is("wipe"),
	       "hibernate=never is EINVAL");
	must_set_mode("veto");
	snapshot = open(SNAPSHOT, O_RDONLY | O_CLOEXEC);
	err = errno;
	tap_ok(snapshot < 0 && err == EBUSY && write_text(STATE, "disk") == -EBUSY,
	       "hibernate=veto: hibernation is EBUSY while a region is open");
	tap_ok(map[0] == 0x5a && !events_of(fd) && !map_error(fd) && !close(create(PAGE)),
	       "and nothing has happened to the region, or to CREATE");
	tap_ok(disk_is_offered(), "and the machine still offers it");

	close(must_snapshot(O_WRONLY));
	tap_ok(is_gone(map, 1), "what loads an image is not refused: a region goes");
	snapshot = open(SNAPSHOT, O_RDONLY | O_CLOEXEC);
	tap_ok(snapshot >= 0, "one that is gone refuses nothing");
	close(snapshot);
	munmap(map, PAGE);
	close(fd);
	must_set_mode("wipe");
}

/* The same on the kernel's own secret memory: what there is to be better than. */
static void test_peer(void)
{
	int fd = must_create(PAGE), secret;
	bool ours = disk_is_offered(), theirs;

	close(fd);
	secret = syscall(SYS_memfd_secret, 0);
	if (secret < 0) {
		tap_skip("memfd_secret",
			 "an open region leaves hibernation to everybody");
		return;
	}
	theirs = disk_is_offered() || open(SNAPSHOT, O_RDONLY) >= 0;
	close(secret);
	tap_ok(ours && !theirs && disk_is_offered(),
	       "an open region leaves hibernation to everybody; an open memfd_secret to nobody");
}

/* All of it, but for the disk: the image is made, and cannot be written. */
static void test_failure(void)
{
	int fd = must_create(PAGE), err, again;
	unsigned char *map = must_map(fd, PAGE), *next;

	map[0] = 0x5a;
	err = write_text("/sys/power/disk", "shutdown");
	if (!err)
		err = write_text(STATE, "disk");
	tap_ok(err && is_gone(map, 1) && map_error(fd) == ESTALE,
	       "a hibernation that fails after that (%s) does not bring a region back",
	       strerror(-err));
	again = must_create(PAGE);
	next = must_map(again, PAGE);
	tap_ok(all_are(next, 0, PAGE) && !touch(next, true) && !events_of(again),
	       "and new ones can be made");
	munmap(next, PAGE);
	munmap(map, PAGE);
	close(again);
	close(fd);
}

int main(void)
{
	door_open_alone();
	if (geteuid() || access(SNAPSHOT, F_OK))
		tap_skip_all("root, and " SNAPSHOT);
	must_set_mode("wipe");
	tap_plan(23);
	test_wipe();
	test_create();
	test_race();
	test_veto();
	test_peer();
	test_failure();
	return tap_end();
}
