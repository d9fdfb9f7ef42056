// SPDX-License-Identifier: MIT
/*
 * Who can reach what is in a region: nobody through the kernel's ways of reading
 * another's memory, or of holding on to a page. Each way is tried on an ordinary
 * page first, where it has to work.
 */
#include <elf.h>
#include <linux/futex.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "door.h"

#define MARK 0x6c65746865736563UL

/*
 * A way to reach the word at @at in process @pid. Returns 0 if it did, else the
 * errno of the refusal, or ENODATA if something else than the word came.
 */
typedef int way_fn(pid_t pid, void *at);

static int seen(uint64_t word)
{
	return word == MARK ? 0 : ENODATA;
}

static int by_readv(pid_t pid, void *at)
{
	uint64_t word = 0;
	struct iovec here = { &word, sizeof(word) }, there = { at, sizeof(word) };

	if (process_vm_readv(pid, &here, 1, &there, 1, 0) < 0)
		return errno;
	return seen(word);
}

static int by_writev(pid_t pid, void *at)
{
	uint64_t word = MARK;
	struct iovec here = { &word, sizeof(word) }, there = { at, sizeof(word) };

	return process_vm_writev(pid, &here, 1, &there, 1, 0) < 0 ? errno : 0;
}

static int open_mem(pid_t pid, int flags)
{
	char name[32];

	snprintf(name, sizeof(name), "/proc/%d/mem", pid);
	return open(name, flags);
}

static int by_mem_read(pid_t pid, void *at)
{
	uint64_t word = 0;
	int fd = open_mem(pid, O_RDONLY);
	int err = fd < 0 || pread(fd, &word, sizeof(word), (off_t)at) < 0 ? errno :
									    seen(word);

	close(fd);
	return err;
}

static int by_mem_write(pid_t pid, void *at)
{
	uint64_t word = MARK;
	int fd = open_mem(pid, O_RDWR);
	int err = fd < 0 || pwrite(fd, &word, sizeof(word), (off_t)at) < 0 ? errno : 0;

	close(fd);
	return err;
}

static int ptraced(pid_t pid, void *at, bool poke)
{
	int status, err = 0;
	long word;

	if (ptrace(PTRACE_ATTACH, pid, NULL, NULL))
		return errno;
	if (waitpid(pid, &status, 0) != pid)
		return ECHILD;
	errno = 0;
	if (poke) {
		if (ptrace(PTRACE_POKEDATA, pid, at, MARK))
			err = errno;
	} else {
		word = ptrace(PTRACE_PEEKDATA, pid, at, NULL);
		err = errno ? errno : seen(word);
	}
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	return err;
}

static int by_peek(pid_t pid, void *at)
{
	return ptraced(pid, at, false);
}

static int by_poke(pid_t pid, void *at)
{
	return ptraced(pid, at, true);
}

/* The next three are acts of the process itself. */
static int by_vmsplice(pid_t pid, void *at)
{
	struct iovec there = { at, sizeof(uint64_t) };
	uint64_t word = 0;
	int err, ends[2];

	(void)pid;
	if (pipe(ends))
		return errno;
	if (vmsplice(ends[1], &there, 1, 0) < 0)
		err = errno;
	else
		err = read(ends[0], &word, sizeof(word)) < 0 ? errno : seen(word);
	close(ends[0]);
	close(ends[1]);
	return err;
}

static int by_shared_futex(pid_t pid, void *at)
{
	(void)pid;
	return syscall(SYS_futex, at, FUTEX_WAKE, 1, NULL, NULL, 0) < 0 ? errno : 0;
}

static int by_own_mem(pid_t pid, void *at)
{
	(void)pid;
	return by_mem_read(getpid(), at);
}

static int from_child(way_fn *way, void *at)
{
	pid_t parent = getpid(), pid = must_fork();

	if (!pid)
		_exit(way(parent, at));
	return end_of(pid);
}

static int from_here(way_fn *way, void *at)
{
	return way(0, at);
}

static const struct {
	const char *name;
	int (*from)(way_fn *way, void *at);
	way_fn *way;
	int refusal;
} ways[] = {
	{ "process_vm_readv by another process", from_child, by_readv, EFAULT },
	{ "process_vm_writev by another process", from_child, by_writev, EFAULT },
	{ "/proc/pid/mem read by another process", from_child, by_mem_read, EIO },
	{ "/proc/pid/mem written by another process", from_child, by_mem_write, EIO },
	{ "ptrace peek", from_child, by_peek, EIO },
	{ "ptrace poke", from_child, by_poke, EIO },
	{ "vmsplice", from_here, by_vmsplice, EFAULT },
	{ "a shared futex", from_here, by_shared_futex, EFAULT },
	{ "/proc/self/mem", from_here, by_own_mem, EIO },
};

#define NR_WAYS (sizeof(ways) / sizeof(ways[0]))

static void test_ways(uint64_t *secret, uint64_t *plain)
{
	for (size_t i = 0; i < NR_WAYS; i++) {
		int control = ways[i].from(ways[i].way, plain);
		int err = ways[i].from(ways[i].way, secret);

		tap_ok(!control && err == ways[i].refusal,
		       "%s: refused (%s; on an ordinary page: %s)", ways[i].name,
		       strerror(err), strerror(control));
	}
}

/* What /proc/kcore has of a frame's first word. */
static bool kcore_word(uint64_t frame, uint64_t *word)
{
	uint64_t at = frame * PAGE;
	Elf64_Ehdr header;
	Elf64_Phdr part;
	bool got = false;
	int fd = open("/proc/kcore", O_RDONLY);

	if (fd < 0)
		return false;
	if (pread(fd, &header, sizeof(header), 0) != sizeof(header))
		header.e_phnum = 0;
	for (int i = 0; i < header.e_phnum && !got; i++) {
		if (pread(fd, &part, sizeof(part), header.e_phoff + i * sizeof(part)) !=
		    sizeof(part))
			break;
		/* Physical addresses are known of RAM alone. */
		if (part.p_type == PT_LOAD && part.p_paddr != ~0UL &&
		    part.p_paddr <= at && at - part.p_paddr < part.p_filesz)
			got = pread(fd, word, sizeof(*word),
				    part.p_offset + (at - part.p_paddr)) == sizeof(*word);
	}
	close(fd);
	return got;
}

static uint64_t frame_of_plain(void *at)
{
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY);

	if (pread(fd, &entry, sizeof(entry), (uintptr_t)at / PAGE * sizeof(entry)) !=
	    sizeof(entry))
		entry = 0;
	close(fd);
	return entry & ((1ULL << 55) - 1);
}

static void test_kcore(int fd, uint64_t *plain)
{
	uint64_t frame = 0, word = 0, control = 0;
	struct lethe_query args = {
		.size = sizeof(args),
		.flags = LETHE_QUERY_FRAMES | LETHE_QUERY_REGION,
		.fd = fd,
		.nr_frames = 1,
		.frames = (uintptr_t)&frame,
	};

	if (call(LETHE_IOC_QUERY, &args) || access("/proc/kcore", R_OK)) {
		tap_skip("root and /proc/kcore", "/proc/kcore: reads as zero");
		return;
	}
	tap_ok(kcore_word(frame_of_plain(plain), &control) && control == MARK &&
		       kcore_word(frame, &word) && !word,
	       "/proc/kcore: reads as zero (an ordinary page reads as it is)");
}

int main(void)
{
	uint64_t *secret, *plain;
	int fd;

	door_open();
	tap_plan(NR_WAYS + 2);
	/* Where a security module wants to be asked first. */
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);

	fd = must_create(PAGE);
	secret = (uint64_t *)must_map(fd, PAGE);
	plain = (uint64_t *)must_map_plain(PAGE);
	*plain = MARK;
	*secret = MARK;
	test_ways(secret, plain);
	test_kcore(fd, plain);
	tap_ok(*secret == MARK, "and the word is still there, for its owner");
	return tap_end();
}
