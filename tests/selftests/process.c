// SPDX-License-Identifier: MIT
/*
 * Other processes that a process makes, or gives a descriptor to: what they find,
 * and what is in the core file of one that crashed.
 */
#include <dirent.h>
#include <spawn.h>
#include <sys/socket.h>

#include "rows.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

static const char *read_first(struct memory *m, long arg)
{
	(void)arg;
	return seen(first_word(m));
}

static const char *read_mapped(struct memory *m, long arg)
{
	volatile uint64_t *map = mmap(NULL, PAGE, RW, MAP_SHARED, m->fd, 0);

	(void)arg;
	return map == MAP_FAILED ? failed() : seen(*map);
}

static const char *by_fork(struct memory *m, long arg)
{
	return by_child(read_first, m, arg);
}

static const char *by_fork_mapping(struct memory *m, long arg)
{
	return by_child(read_mapped, m, arg);
}

/* A child's new mapping outlives the parent's own. */
static const char *after_fork(struct memory *m, long arg)
{
	pid_t pid = must_fork();

	(void)arg;
	if (!pid)
		_exit(0);
	end_of(pid);
	return seen(first_word(m));
}

static const char *by_vfork(struct memory *m, long arg)
{
	static volatile uint64_t found;
	volatile uint64_t *at = (uint64_t *)m->map;
	pid_t pid;

	(void)arg;
	pid = vfork();
	if (!pid) {
		found = *at;
		_exit(0);
	}
	end_of(pid);
	return seen(found);
}

/* A program that sees what it was given: 0 where it has the descriptor. */
static char *const *descriptor_test(int fd)
{
	static char script[64];
	static char shell[] = "sh", option[] = "-c";
	static char *words[] = { shell, option, script, NULL };

	snprintf(script, sizeof(script), "test -e /proc/self/fd/%d", fd);
	return words;
}

static const char *by_spawn(struct memory *m, long arg)
{
	pid_t pid;

	(void)arg;
	errno = posix_spawn(&pid, "/bin/sh", NULL, NULL, descriptor_test(m->fd), environ);
	if (errno)
		return failed();
	return end_of(pid) ? "closed" : "open";
}

static const char *by_exec(struct memory *m, long arg)
{
	pid_t pid = must_fork();

	(void)arg;
	if (!pid) {
		execv("/bin/sh", descriptor_test(m->fd));
		_exit(2);
	}
	return end_of(pid) ? "closed" : "open";
}

static void pass(int socket, int fd)
{
	char space[CMSG_SPACE(sizeof(int))] = "", byte = 0;
	struct iovec io = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &io,
		.msg_iovlen = 1,
		.msg_control = space,
		.msg_controllen = sizeof(space),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	if (sendmsg(socket, &message, 0) != 1)
		leave(failed());
}

static int passed(int socket)
{
	char space[CMSG_SPACE(sizeof(int))] = "", byte = 0;
	struct iovec io = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &io,
		.msg_iovlen = 1,
		.msg_control = space,
		.msg_controllen = sizeof(space),
	};
	int fd = -1;

	if (recvmsg(socket, &message, 0) == 1 && CMSG_FIRSTHDR(&message))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}

static int pair[2];

static const char *map_passed(struct memory *m, long arg)
{
	close(m->fd);
	m->fd = passed(pair[1]);
	return read_mapped(m, arg);
}

static const char *by_rights(struct memory *m, long arg)
{
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return failed();
	pass(pair[0], m->fd);
	return by_child(map_passed, m, arg);
}

/* What may attach with ptrace may take a descriptor, and map it. */
static const char *map_taken(struct memory *m, long pid)
{
	int pidfd = syscall(SYS_pidfd_open, pid, 0);
	int fd = syscall(SYS_pidfd_getfd, pidfd, m->fd, 0);

	if (fd < 0)
		return failed();
	close(m->fd);
	m->fd = fd;
	return read_mapped(m, 0);
}

static const char *by_getfd(struct memory *m, long arg)
{
	(void)arg;
	return by_child(map_taken, m, getpid());
}

/*
 * Bytes that are nowhere but where this put them: made one at a time, so that no
 * register ever holds more than one.
 */
static void put_needle(volatile unsigned char *at, uint32_t seed)
{
	for (int i = 0; i < 64; i++) {
		seed = seed * 1664525 + 1013904223;
		at[i] = seed >> 24;
	}
}

static const char *search(const char *name, uint32_t seed)
{
	static unsigned char buffer[1 << 20], needle[64];
	size_t have = 0;
	ssize_t got;
	int fd = open(name, O_RDONLY);

	put_needle(needle, seed);
	while ((got = read(fd, buffer + have, sizeof(buffer) - have)) > 0) {
		have += got;
		if (memmem(buffer, have, needle, sizeof(needle)))
			return "the secret";
		/* One that straddles two reads. */
		if (have > sizeof(needle)) {
			memmove(buffer, buffer + have - sizeof(needle), sizeof(needle));
			have = sizeof(needle);
		}
	}
	return got < 0 || fd < 0 ? failed() : "none of it";
}

static const char *crash(struct memory *m, uint32_t seed, int advice)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	int fd = open("/proc/self/coredump_filter", O_WRONLY);

	/* Every kind of mapping. */
	if (write(fd, "0x7f", 4) != 4 || setrlimit(RLIMIT_CORE, &all) ||
	    (advice && madvise(m->map, LENGTH, advice) && m->kind == ORDINARY))
		leave(failed());
	put_needle(m->map + PAGE, seed);
	signal(SIGQUIT, SIG_DFL);
	raise(SIGQUIT);
	return "no crash";
}

/* Core files go where the machine says: it is not told otherwise for a test. */
static bool core_is_here(void)
{
	char pattern[128] = "";
	int fd = open("/proc/sys/kernel/core_pattern", O_RDONLY);
	ssize_t got = read(fd, pattern, sizeof(pattern) - 1);

	close(fd);
	return got > 0 && !strncmp(pattern, "core", 4) && !strchr(pattern, '/');
}

static const char *search_here(uint32_t seed)
{
	const char *found = "SKIP a core file";
	DIR *here = opendir(".");
	struct dirent *entry;

	while (here && (entry = readdir(here)))
		if (!strncmp(entry->d_name, "core", 4)) {
			found = search(entry->d_name, seed);
			unlink(entry->d_name);
		}
	if (here)
		closedir(here);
	return found;
}

static const char *by_core(struct memory *m, long advice)
{
	char place[] = "/tmp/lethe-core-XXXXXX";
	struct rlimit limit;
	uint32_t seed = getpid() * 2654435761U;
	const char *found;
	pid_t pid;
	int status;

	if (!core_is_here())
		return "SKIP core files in the working directory";
	if (getrlimit(RLIMIT_CORE, &limit) || (!limit.rlim_max && geteuid()))
		return "SKIP RLIMIT_CORE above 0";
	if (!mkdtemp(place) || chdir(place))
		return failed();
	pid = must_fork();
	if (!pid) {
		struct memory own = { .kind = m->kind };

		/* Its own: a region's mapping is not for children. */
		if (make_memory(&own, m->kind, LENGTH))
			_exit(1);
		crash(&own, seed, advice);
		_exit(1);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
		return "no crash";
	found = WCOREDUMP(status) ? search_here(seed) : "no core file";
	if (chdir("/") || rmdir(place))
		return failed();
	return found;
}

static const struct row rows[] = {
	ROW("`fork`, and a child's read", by_fork, "SIGSEGV", "the secret", "the secret"),
	ROW("`fork`, and a child's own `mmap`", by_fork_mapping, "the secret",
	    "the secret", "the secret"),
	ROW("`fork`, and the parent's read after the child's end", after_fork,
	    "the secret", "the secret", "the secret"),
	ROW("`vfork`, and a child's read", by_vfork, "the secret", "the secret",
	    "the secret"),
	ROW("`posix_spawn`: the descriptor, with no flag asked for", by_spawn, "closed",
	    "open", "open"),
	ROW("`execve`: the descriptor, with no flag asked for", by_exec, "closed", "open",
	    "open"),
	ROW("SCM_RIGHTS, and another process's `mmap`", by_rights, "the secret",
	    "the secret", "the secret"),
	ROW("`pidfd_getfd`, and another process's `mmap`", by_getfd, "the secret",
	    "the secret", "the secret", .absent = "ENOSYS or EPERM"),
	ROW("a core file", by_core, "none of it", "none of it", "the secret"),
	ROW("a core file, after MADV_DODUMP", by_core, "none of it", "none of it",
	    "the secret", .arg = MADV_DODUMP),
};

ROWS_MAIN(rows)
