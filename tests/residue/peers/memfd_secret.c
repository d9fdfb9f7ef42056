// SPDX-License-Identifier: MIT
/*
 * memfd_secret alone: the secret is in a page that the kernel has unmapped, and the
 * code runs as always.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "piece.h"

#define PAGE 4096

static uint8_t *secret;

const char piece_promises[] = "own";

const char *piece_start(void)
{
	int fd = syscall(SYS_memfd_secret, 0);

	if (fd < 0)
		return "this kernel has no memfd_secret, or it is off";
	if (ftruncate(fd, PAGE))
		abort();
	secret = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return secret == MAP_FAILED ? "RLIMIT_MEMLOCK is too small for a page" : NULL;
}

void piece_run(void (*work)(const uint8_t *secret))
{
	piece_read(secret);
	if (!setjmp(row_way_out))
		work(secret);
	explicit_bzero(secret, SECRET_SIZE);
	munmap(secret, PAGE);
}
