// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Secret pages where the kernel has nothing better: anonymous memory, locked,
 * out of core dumps and out of a fork's child. The kernel still maps it, and
 * whoever may ptrace the process can read it: its level says so.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

static int probe(void)
{
	return 0;
}

static int lock(void *address, size_t length)
{
	/* Not mlock(): with a sanitizer that does nothing, and says it did. */
	if (syscall(SYS_mlock, address, length) == 0)
		return 0;
	/* EPERM is a limit of zero, EAGAIN a page that could not be had. */
	return errno == EPERM || errno == EAGAIN ? -ENOMEM : -errno;
}

static int map(void *address, size_t length)
{
	int err;

	if (mmap(address, length, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		return -errno;
	/* One advice a call: they are numbers, not bits. */
	if (madvise(address, length, MADV_DONTDUMP) < 0 ||
	    madvise(address, length, MADV_DONTFORK) < 0) {
		err = -errno;
		goto undo;
	}
	err = lock(address, length);
	if (err)
		goto undo;
	return 0;
undo:
	space_reserve(address, length);
	return err;
}

static int copy_allow(void *address, size_t length, bool allow)
{
	int advice = allow ? MADV_DOFORK : MADV_DONTFORK;

	return madvise(address, length, advice) < 0 ? -errno : 0;
}

/* A child has no lock of its parent's; to take one makes the pages its own. */
static int copy_adopt(void *address, size_t length, int copy)
{
	(void)copy;
	return copy_allow(address, length, false) ?: lock(address, length);
}

const struct backend backend_mlock = {
	.name = "mlock",
	.level = LETHE_LEVEL_LOCKED,
	.probe = probe,
	.map = map,
	.copy_allow = copy_allow,
	.copy_adopt = copy_adopt,
};
