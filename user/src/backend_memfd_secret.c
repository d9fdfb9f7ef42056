// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Secret pages from memfd_secret(2). The kernel populates them one fault at a
 * time and counts them against RLIMIT_MEMLOCK only then, with a SIGBUS where
 * the limit is passed; here every page is touched before anybody else can, and
 * the limit is an -ENOMEM.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

/* What the kernel takes for a signal set: 64 signals, a bit each. */
#define KERNEL_SIGSET_SIZE 8

static int open_secret(void)
{
	long fd = syscall(SYS_memfd_secret, O_CLOEXEC);

	return fd < 0 ? -errno : (int)fd;
}

static int probe(void)
{
	int fd = open_secret();

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

/*
 * Touch a page from inside a system call: there a fault that would be a SIGBUS
 * is an EFAULT, with no signal handler of ours to race with the program's own.
 * Asking for the signal mask is the one call that writes to user memory and
 * that every sandbox allows.
 */
static int populate(char *start, size_t length)
{
	size_t at;

	for (at = 0; at < length; at += PAGE) {
		if (syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, start + at,
			    KERNEL_SIGSET_SIZE) < 0)
			return errno == EFAULT ? -ENOMEM : -errno;
		*(volatile uint64_t *)(start + at) = 0;
	}
	return 0;
}

/* A descriptor, or -errno. */
static int make(size_t length)
{
	int fd, err;

	fd = open_secret();
	if (fd < 0 || ftruncate(fd, (off_t)length) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* With MAP_FIXED at *@address, else it is set. */
static int map_file(void **address, size_t length, int flags, int fd)
{
	void *p = mmap(*address, length, PROT_READ | PROT_WRITE, MAP_SHARED | flags, fd,
		       0);

	if (p == MAP_FAILED)
		/* EAGAIN: kernels that count the limit here. */
		return errno == EAGAIN ? -ENOMEM : -errno;
	*address = p;
	return 0;
}

static int map(void *address, size_t length)
{
	int fd, err;

	fd = make(length);
	if (fd < 0)
		return fd;
	err = map_file(&address, length, MAP_FIXED, fd);
	close(fd);
	if (err)
		return err;

	/* Shared memory: a child would otherwise read and write it. */
	if (madvise(address, length, MADV_DONTFORK) < 0)
		err = -errno;
	if (!err)
		err = populate(address, length);
	if (err)
		space_reserve(address, length);
	return err;
}

/* The pages are the file's: mapped anew, they are there. */
static int copy_make(size_t length)
{
	void *there = NULL;
	int fd, err;

	fd = make(length);
	if (fd < 0)
		return fd;
	err = map_file(&there, length, 0, fd);
	if (!err) {
		err = populate(there, length);
		munmap(there, length);
	}
	if (!err)
		return fd;
	close(fd);
	return err;
}

static int copy_fill(int copy, const void *from, size_t length)
{
	void *there = NULL;
	int err;

	err = map_file(&there, length, 0, copy);
	if (err)
		return err;
	copy_secret(there, from, length);
	munmap(there, length);
	return 0;
}

static int copy_adopt(void *address, size_t length, int copy)
{
	return map_file(&address, length, MAP_FIXED, copy)         ?:
		       madvise(address, length, MADV_DONTFORK) < 0 ? -errno :
								     0;
}

const struct backend backend_memfd_secret = {
	.name = "memfd_secret",
	.level = LETHE_LEVEL_UNMAPPED,
	.probe = probe,
	.map = map,
	.copy_make = copy_make,
	.copy_fill = copy_fill,
	.copy_adopt = copy_adopt,
};
