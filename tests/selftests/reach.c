// SPDX-License-Identifier: MIT
/*
 * Who can reach what is in memory from outside: another process, a debugger, a
 * profiler, the kernel's own views of it. Each way is tried on ordinary memory
 * too, where it has to work. Ways to hold on to a page are pinning.c's subject.
 */
#include <linux/futex.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <ucontext.h>

#include "rows.h"

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

static const char *after_write(struct memory *m, const char *what)
{
	if (strcmp(what, "done"))
		return what;
	return first_word(m) ? "nothing" : "written";
}

static const char *by_readv(struct memory *m, long pid)
{
	uint64_t word = 0;
	struct iovec here = { &word, sizeof(word) }, there = { m->map, sizeof(word) };

	if (process_vm_readv(pid, &here, 1, &there, 1, 0) < 0)
		return failed();
	return seen(word);
}

static const char *by_writev(struct memory *m, long pid)
{
	uint64_t word = 0;
	struct iovec here = { &word, sizeof(word) }, there = { m->map, sizeof(word) };

	return done_if(process_vm_writev(pid, &here, 1, &there, 1, 0) >= 0);
}

static int open_mem(pid_t pid, int flags)
{
	char name[32];

	snprintf(name, sizeof(name), "/proc/%d/mem", pid);
	return open(name, flags);
}

static const char *by_mem_read(struct memory *m, long pid)
{
	uint64_t word = 0;

	if (pread(open_mem(pid, O_RDONLY), &word, sizeof(word), (off_t)m->map) < 0)
		return failed();
	return seen(word);
}

static const char *by_mem_write(struct memory *m, long pid)
{
	uint64_t word = 0;

	return done_if(
		pwrite(open_mem(pid, O_RDWR), &word, sizeof(word), (off_t)m->map) >= 0);
}

static bool attached(pid_t pid)
{
	return !ptrace(PTRACE_ATTACH, pid, NULL, NULL) && waitpid(pid, NULL, 0) == pid;
}

static const char *by_peek(struct memory *m, long pid)
{
	const char *what;
	long word;

	if (!attached(pid))
		return failed();
	errno = 0;
	word = ptrace(PTRACE_PEEKDATA, pid, m->map, NULL);
	what = errno ? failed() : seen(word);
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	return what;
}

static const char *by_poke(struct memory *m, long pid)
{
	const char *what;

	if (!attached(pid))
		return failed();
	what = done_if(!ptrace(PTRACE_POKEDATA, pid, m->map, 0));
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	return what;
}

/*
 * From a process that has a mapping of ordinary memory too, or none: what is
 * asked for is memory of its parent.
 */
static act_fn *const ways[] = { by_readv,     by_writev, by_mem_read,
				by_mem_write, by_peek,   by_poke };
enum { READV, WRITEV, MEM_READ, MEM_WRITE, PEEK, POKE };

static const char *from_child(struct memory *m, long way)
{
	return by_child(ways[way], m, getpid());
}

static const char *write_from_child(struct memory *m, long way)
{
	return after_write(m, by_child(ways[way], m, getpid()));
}

static const char *from_here(struct memory *m, long way)
{
	return ways[way](m, getpid());
}

static const char *by_pagemap(struct memory *m, long arg)
{
	const off_t at = (off_t)((uintptr_t)m->map / PAGE * sizeof(uint64_t));
	int fd = open("/proc/self/pagemap", O_RDONLY);
	uint64_t entry;

	(void)arg;
	if (pread(fd, &entry, sizeof(entry), at) != sizeof(entry))
		return failed();
	return entry >> 63 ? "present" : "nothing";
}

static const char *by_futex(struct memory *m, long flag)
{
	/* It looks at the word, and finds another than it was told. */
	if (syscall(SYS_futex, m->map, FUTEX_WAIT | flag, 0, NULL, NULL, 0) == -1 &&
	    errno == EAGAIN)
		return "done";
	return failed();
}

static const char *by_userfault(struct memory *m, long mode)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = {
		.range = { (uintptr_t)m->map, LENGTH },
		.mode = mode,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api))
		return "SKIP userfaultfd";
	return done_if(!ioctl(fd, UFFDIO_REGISTER, &range));
}

/* What perf records of the user's stack at each fault of a page. */
static int perf_open(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_PAGE_FAULTS,
		.sample_period = 1,
		.sample_type = PERF_SAMPLE_STACK_USER | PERF_SAMPLE_REGS_USER,
		.sample_stack_user = 4096,
		.sample_regs_user = 1 << 7,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};

	return syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

static ucontext_t home;
static unsigned char *fresh;

__attribute__((noinline)) static void fault(uint64_t word)
{
	*(volatile unsigned char *)fresh = word;
}

/*
 * With the stack in the memory that is looked at: the secret lies on it, and above
 * the stack pointer, as another function is called.
 */
static void on_stack(void)
{
	volatile uint64_t words[8];

	for (int i = 0; i < 8; i++)
		words[i] = MARK + i;
	fault(words[0]);
	words[0] = 0;
	fault(words[0]);
}

static const char *by_perf(struct memory *m, long arg)
{
	const size_t size = 17 * PAGE;
	uint64_t words[8];
	ucontext_t context;
	void *ring;
	int fd = perf_open();

	(void)arg;
	if (fd < 0)
		return "SKIP perf_event_open for this user";
	ring = mmap(NULL, size, RW, MAP_SHARED, fd, 0);
	/* Not one that came along with a neighbour's huge page. */
	fresh = must_map_plain(PAGE);
	madvise(fresh, PAGE, MADV_DONTNEED);
	if (ring == MAP_FAILED || getcontext(&context))
		return failed();
	context.uc_stack.ss_sp = m->map;
	context.uc_stack.ss_size = LENGTH;
	context.uc_link = &home;
	makecontext(&context, on_stack, 0);
	swapcontext(&home, &context);
	for (int i = 0; i < 8; i++)
		words[i] = MARK + i;
	return memmem((char *)ring + PAGE, size - PAGE, words, sizeof(words)) ?
		       "the secret" :
		       "none of it";
}

static const struct row rows[] = {
	ROW("`process_vm_readv` by another process", from_child, "EFAULT", "EFAULT",
	    "the secret", .arg = READV, .absent = "ENOSYS or EPERM"),
	ROW("`process_vm_writev` by another process", write_from_child, "EFAULT",
	    "EFAULT", "written", .arg = WRITEV, .absent = "ENOSYS or EPERM"),
	ROW("`ptrace` PTRACE_PEEKDATA", from_child, "EIO", "EIO", "the secret",
	    .arg = PEEK, .absent = "EPERM"),
	ROW("`ptrace` PTRACE_POKEDATA", write_from_child, "EIO", "EIO", "written",
	    .arg = POKE, .absent = "EPERM"),
	ROW("/proc/pid/mem read by another process", from_child, "EIO", "EIO",
	    "the secret", .arg = MEM_READ, .absent = "EACCES or EPERM or EBADF"),
	ROW("/proc/pid/mem written by another process", write_from_child, "EIO", "EIO",
	    "written", .arg = MEM_WRITE, .absent = "EACCES or EPERM or EBADF"),
	ROW("/proc/self/mem", from_here, "EIO", "EIO", "the secret", .arg = MEM_READ),
	ROW("/proc/self/pagemap", by_pagemap, "nothing", "present", "present"),
	ROW("a futex, private", by_futex, "done", "done", "done",
	    .arg = FUTEX_PRIVATE_FLAG),
	ROW("a futex, shared", by_futex, "EFAULT", "EFAULT", "done"),
	ROW("`userfaultfd` UFFDIO_REGISTER_MODE_MISSING", by_userfault, "EINVAL",
	    "EINVAL", "done", .arg = UFFDIO_REGISTER_MODE_MISSING, .anonymous = true),
	ROW("`userfaultfd` UFFDIO_REGISTER_MODE_WP", by_userfault, "EINVAL", "EINVAL",
	    "done", .arg = UFFDIO_REGISTER_MODE_WP, .anonymous = true),
	ROW("`perf_event_open` PERF_SAMPLE_STACK_USER of its own stack", by_perf,
	    "the secret", "the secret", "the secret"),
};

ROWS_MAIN(rows)
