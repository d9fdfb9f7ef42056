// SPDX-License-Identifier: MIT
/*
 * Regions: how they can be mapped, what they hold at first, how long they live.
 * Who can read them is reach.c's subject; what they are charged, charge.c's.
 */
#include <sys/socket.h>

#include "door.h"

#define NR ((size_t)8)

static int map_error(size_t length, int prot, int flags, int fd, off_t offset)
{
	void *map = mmap(NULL, length, prot, flags, fd, offset);

	if (map == MAP_FAILED)
		return errno;
	munmap(map, length);
	return 0;
}

static void test_rules(int fd)
{
	const int rw = PROT_READ | PROT_WRITE;
	unsigned char *map;
	int err;

	tap_ok(!map_error(NR * PAGE, rw, MAP_SHARED, fd, 0) &&
		       !map_error(PAGE, PROT_READ, MAP_SHARED, fd, 7 * PAGE) &&
		       !map_error(NR * PAGE - 1, rw, MAP_SHARED, fd, 0),
	       "mmap: the whole, or a part, maps shared");
	tap_ok(map_error(PAGE, rw, MAP_PRIVATE, fd, 0) == EINVAL,
	       "mmap: MAP_PRIVATE is EINVAL");
	err = map_error(PAGE, rw | PROT_EXEC, MAP_SHARED, fd, 0);
	/* Where anonymous inodes are noexec, the kernel itself says EPERM. */
	tap_ok(err == EACCES || err == EPERM, "mmap: PROT_EXEC is refused");
	tap_ok(map_error((NR + 1) * PAGE, rw, MAP_SHARED, fd, 0) == EINVAL &&
		       map_error(2 * PAGE, rw, MAP_SHARED, fd, 7 * PAGE) == EINVAL &&
		       map_error(PAGE, rw, MAP_SHARED, fd, NR * PAGE) == EINVAL &&
		       map_error(PAGE, rw, MAP_SHARED, fd, 1LL << 60) == EINVAL,
	       "mmap: past the end is EINVAL");
	tap_ok(map_error(PAGE, rw, MAP_SHARED, fd, 1) == EINVAL,
	       "mmap: an offset inside a page is EINVAL");

	map = must_map(fd, NR * PAGE);
	tap_ok(mprotect(map, PAGE, PROT_READ | PROT_EXEC) && errno == EACCES,
	       "mprotect: PROT_EXEC is EACCES");
	tap_ok(!mprotect(map, PAGE, PROT_NONE) && !mprotect(map, PAGE, PROT_READ) &&
		       !mprotect(map, PAGE, rw),
	       "mprotect: none, read and write go both ways");
	tap_ok(mremap(map, NR * PAGE, 2 * NR * PAGE, MREMAP_MAYMOVE) == MAP_FAILED &&
		       errno == EFAULT,
	       "mremap: a mapping does not grow");
	munmap(map, NR * PAGE);
}

static void test_sharing(int fd)
{
	unsigned char *one = must_map(fd, NR * PAGE);
	unsigned char *two = must_map(fd, NR * PAGE);
	unsigned char *moved;

	tap_ok(all_are(one, 0, NR * PAGE), "a new region is all zero");
	memset(one, 0x5a, NR * PAGE);
	tap_ok(all_are(two, 0x5a, NR * PAGE),
	       "two mappings of a region are the same memory");

	munmap(two + 2 * PAGE, 3 * PAGE);
	one[PAGE] = 1;
	one[6 * PAGE] = 2;
	tap_ok(two[PAGE] == 1 && two[6 * PAGE] == 2 && one[3 * PAGE] == 0x5a,
	       "munmap: a part goes, and takes nothing else with it");

	moved = mmap(NULL, 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	moved = mremap(two, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, moved);
	tap_ok(moved != MAP_FAILED && moved[PAGE] == 1, "mremap: a mapping can be moved");
	munmap(moved, 2 * PAGE);
	munmap(two + 5 * PAGE, 3 * PAGE);
	munmap(one, NR * PAGE);
}

static void faulted(int number)
{
	_exit(number);
}

/* What a child ends with that reads @map: what is there, or SIGSEGV. */
static int child_reads(volatile unsigned char *map)
{
	pid_t pid = must_fork();

	if (!pid) {
		/* Handled, the kernel's log has no line of it. */
		signal(SIGSEGV, faulted);
		_exit(map[0]);
	}
	return end_of(pid);
}

static void test_fork(int fd)
{
	unsigned char *secret = must_map(fd, NR * PAGE);
	unsigned char *plain = must_map_plain(PAGE);

	secret[0] = 0x5a;
	plain[0] = 0x5a;
	tap_ok(child_reads(plain) == 0x5a, "fork: a child has an ordinary page");
	tap_ok(child_reads(secret) == SIGSEGV,
	       "fork: a child has no mapping of a region");
	tap_ok(madvise(secret, PAGE, MADV_DOFORK) == -1 && errno == EINVAL,
	       "madvise: MADV_DOFORK does not undo that");
	tap_ok(madvise(secret, PAGE, MADV_DODUMP) == -1 && errno == EINVAL,
	       "madvise: MADV_DODUMP does not put it into core files");
	munmap(secret, NR * PAGE);
	munmap(plain, PAGE);
}

static void test_life(void)
{
	struct lethe_query before = must_query(), after;
	int fd = must_create(NR * PAGE);
	unsigned char *map = must_map(fd, NR * PAGE);

	memset(map, 0x77, NR * PAGE);
	close(fd);
	after = must_query();
	tap_ok(all_are(map, 0x77, NR * PAGE) && after.regions == before.regions + 1,
	       "a region lives on while it is mapped, its descriptor closed");
	munmap(map, PAGE);
	munmap(map + PAGE, (NR - 1) * PAGE);
	after = must_query();
	tap_ok(after.regions == before.regions && after.pages_used == before.pages_used,
	       "the last munmap ends it, before it returns");

	fd = must_create(NR * PAGE);
	map = must_map(fd, NR * PAGE);
	munmap(map, NR * PAGE);
	after = must_query();
	tap_ok(after.regions == before.regions + 1,
	       "a region lives on while its descriptor is open");
	close(fd);
	after = must_query();
	tap_ok(after.regions == before.regions && after.pages_used == before.pages_used,
	       "the last close ends it, before it returns");
}

/* A child that dies with @how while it holds a region; the count then. */
static bool gone_after(int how)
{
	struct lethe_query before = must_query(), after;
	pid_t pid = must_fork();

	if (!pid) {
		unsigned char *map = must_map(must_create(NR * PAGE), NR * PAGE);

		memset(map, 0x5a, NR * PAGE);
		if (how)
			kill(getpid(), how);
		_exit(0);
	}
	end_of(pid);
	after = must_query();
	return after.regions == before.regions && after.pages_used == before.pages_used;
}

/*
 * Blocks are handed out again lowest page first, so that what was given up last
 * is what comes next: dirty pages that were not wiped are met here.
 */
static void test_wiped(void)
{
	const size_t nr = 1500;
	unsigned char *map;
	size_t dirty = 0;
	int fd;

	for (int round = 0; round < 8; round++) {
		fd = must_create(nr * PAGE);
		map = must_map(fd, nr * PAGE);
		for (size_t i = 0; i < nr; i++)
			dirty += !all_are(map + i * PAGE, 0, PAGE);
		memset(map, 0xd7, nr * PAGE);
		if (round & 1) {
			close(fd);
			munmap(map, nr * PAGE);
		} else {
			munmap(map, nr * PAGE);
			close(fd);
		}
	}
	tap_ok(!dirty, "pages that were given up come back zeroed (%zu of %zu not)",
	       dirty, 8 * nr);

	tap_ok(gone_after(0) && gone_after(SIGKILL) && gone_after(SIGSEGV),
	       "exit, SIGKILL and SIGSEGV end a region before the parent knows");
	fd = must_create(NR * PAGE);
	map = must_map(fd, NR * PAGE);
	tap_ok(all_are(map, 0, NR * PAGE),
	       "and what the dead wrote is not in the next one");
	munmap(map, NR * PAGE);
	close(fd);
}

/* The descriptor over a socket, to a child that has none of its own. */
static int send_and_read(int fd)
{
	char space[CMSG_SPACE(sizeof(int))] = "", byte = 0;
	struct iovec io = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &io,
		.msg_iovlen = 1,
		.msg_control = space,
		.msg_controllen = sizeof(space),
	};
	struct cmsghdr *header;
	int pair[2], got;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		tap_bail("socketpair: %s", strerror(errno));
	pid = must_fork();
	if (!pid) {
		close(fd);
		if (recvmsg(pair[1], &message, 0) != 1)
			_exit(1);
		header = CMSG_FIRSTHDR(&message);
		if (!header)
			_exit(2);
		memcpy(&got, CMSG_DATA(header), sizeof(got));
		_exit(must_map(got, PAGE)[0] == 0x3c ? 0 : 3);
	}
	header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	if (sendmsg(pair[0], &message, 0) != 1)
		tap_bail("sendmsg: %s", strerror(errno));
	got = end_of(pid);
	close(pair[0]);
	close(pair[1]);
	return got;
}

static void test_other_process(int fd)
{
	unsigned char *map = must_map(fd, PAGE);

	map[0] = 0x3c;
	tap_ok(!send_and_read(fd),
	       "a region can be given to another process, as a descriptor");
	munmap(map, PAGE);
}

static void test_file(int fd)
{
	char byte = 0, name[32];

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	tap_ok(open(name, O_RDONLY) == -1 && errno == ENXIO,
	       "a region cannot be opened again through /proc");
	tap_ok(read(fd, &byte, 1) == -1 && write(fd, &byte, 1) == -1 &&
		       pread(fd, &byte, 1, 0) == -1 && lseek(fd, 0, SEEK_SET) == -1 &&
		       ftruncate(fd, PAGE) == -1,
	       "read, write, seek and truncate are refused");
}

int main(void)
{
	int fd;

	door_open();
	tap_plan(26);
	fd = must_create(NR * PAGE);
	test_sharing(fd);
	test_rules(fd);
	test_fork(fd);
	test_other_process(fd);
	test_file(fd);
	close(fd);
	test_life();
	test_wiped();
	return tap_end();
}
