// SPDX-License-Identifier: MIT
/*
 * What regions are charged: RLIMIT_MEMLOCK strikes at CREATE, and everything
 * comes back when a region ends or was never made.
 */
#include <sys/resource.h>

#include "door.h"

#define LIMIT ((size_t)64 * 1024)

/* VmLck of this process, in bytes. */
static size_t locked(void)
{
	char line[128];
	size_t kib = 0;
	FILE *status = fopen("/proc/self/status", "r");

	while (status && fgets(line, sizeof(line), status))
		if (sscanf(line, "VmLck: %zu kB", &kib) == 1)
			break;
	if (!status)
		tap_bail("/proc/self/status: %s", strerror(errno));
	fclose(status);
	return kib * 1024;
}

static void set_limit(int what, rlim_t limit)
{
	struct rlimit both = { limit, limit };

	if (setrlimit(what, &both))
		tap_bail("setrlimit: %s", strerror(errno));
}

static void test_limit(void)
{
	int whole, one, none;

	whole = create(LIMIT);
	tap_ok(whole >= 0 && locked() == LIMIT,
	       "a region as large as RLIMIT_MEMLOCK is made, and charged");
	none = create(1);
	tap_ok(none == -ENOMEM && locked() == LIMIT,
	       "a byte more is ENOMEM, and not charged");
	close(whole);
	tap_ok(!locked(), "closing it returns all of the charge");

	none = create(LIMIT + 1);
	tap_ok(none == -ENOMEM && !locked(),
	       "one that is larger than the limit is ENOMEM");
	whole = create(LIMIT - PAGE);
	one = create(PAGE);
	tap_ok(whole >= 0 && one >= 0 && locked() == LIMIT,
	       "two that fill the limit together are made");
	close(whole);
	close(one);
}

static void test_returned(void)
{
	struct lethe_query before = must_query(), after;
	unsigned int failed = 0;
	unsigned char *map;
	pid_t pid;
	int fd;

	for (int i = 0; i < 2000; i++) {
		fd = create((size_t)(i % 16 + 1) * PAGE);
		failed += fd < 0;
		close(fd);
	}
	after = must_query();
	tap_ok(!failed && !locked() && after.pages_used == before.pages_used &&
		       after.regions == before.regions,
	       "2000 regions come and go, and no charge or page stays");

	fd = must_create(LIMIT);
	map = must_map(fd, LIMIT);
	close(fd);
	tap_ok(locked() == LIMIT, "a mapping keeps the charge");
	munmap(map, LIMIT);
	tap_ok(!locked(), "and its end returns it");

	fd = must_create(LIMIT);
	pid = must_fork();
	if (!pid) {
		close(fd);
		_exit(locked() ? 1 : 0);
	}
	tap_ok(!end_of(pid) && locked() == LIMIT,
	       "a child is not charged, and does not return the charge");
	close(fd);
}

/* The last descriptor is closed by somebody else. */
static void test_creator(void)
{
	int to_child[2], to_parent[2], fd;
	char byte = 0;
	pid_t pid;

	if (pipe(to_child) || pipe(to_parent))
		tap_bail("pipe: %s", strerror(errno));
	fd = must_create(LIMIT);
	pid = must_fork();
	if (!pid) {
		if (read(to_child[0], &byte, 1) != 1 || close(fd) ||
		    write(to_parent[1], &byte, 1) != 1)
			_exit(1);
		_exit(0);
	}
	close(fd);
	tap_ok(locked() == LIMIT, "the creator stays charged while another holds it");
	if (write(to_child[1], &byte, 1) != 1 || read(to_parent[0], &byte, 1) != 1)
		tap_bail("pipe: %s", strerror(errno));
	tap_ok(!locked(), "and is not any more when that one lets go");
	end_of(pid);
}

static void test_no_descriptor(void)
{
	struct lethe_query before = must_query(), after;
	int fd;

	fd = dup(door);
	/* From here on there is one more number, and it is taken. */
	set_limit(RLIMIT_NOFILE, fd + 1);
	close(fd);
	fd = dup(door);
	tap_ok(create(PAGE) == -EMFILE, "no free descriptor is EMFILE");
	after = must_query();
	/* To look into /proc takes one. */
	close(fd);
	tap_ok(!locked() && after.pages_used == before.pages_used &&
		       after.regions == before.regions,
	       "and leaves no charge, page or region behind");
}

/* In a child, since who gave up root cannot go back. */
static void as_root(void)
{
	pid_t pid;

	if (getuid()) {
		tap_skip("root, for CAP_IPC_LOCK", "CAP_IPC_LOCK: no limit");
		return;
	}
	pid = must_fork();
	if (!pid) {
		int fd;

		set_limit(RLIMIT_MEMLOCK, PAGE);
		fd = create(4 * PAGE);
		_exit(fd >= 0 && locked() == 4 * PAGE ? 0 : 1);
	}
	tap_ok(!end_of(pid), "with CAP_IPC_LOCK there is no limit, but a charge");
}

int main(void)
{
	door_open_alone();
	tap_plan(14);
	as_root();
	if (!getuid() && !become_nobody())
		tap_bail("cannot become an ordinary user: %s", strerror(errno));
	set_limit(RLIMIT_MEMLOCK, LIMIT);
	test_limit();
	test_returned();
	test_creator();
	test_no_descriptor();
	return tap_end();
}
