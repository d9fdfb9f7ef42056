// SPDX-License-Identifier: MIT
/*
 * What somebody writes on the first day, with Lethe as it is installed: an ordinary
 * malloc() inside a section. Says what that block's level is; with -DHEAP it is the
 * library's own.
 */
#include <lethe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct found {
	const char *backend;
	enum lethe_level stack, block;
};

static void section(void *arg)
{
	struct found *found = arg;
	char secret[16];
#ifdef HEAP
	char *block = lethe_malloc(16);
#else
	char *block = malloc(16);
#endif

	memset(secret, 0x5a, sizeof(secret));
	if (block)
		memcpy(block, secret, sizeof(secret));
	found->backend = lethe_backend();
	found->stack = lethe_level_of(secret);
	found->block = lethe_level_of(block);
#ifdef HEAP
	lethe_free(block);
#else
	free(block);
#endif
}

int main(void)
{
	struct found found = { 0 };
	int err = lethe_do(section, &found);

	if (err) {
		fprintf(stderr, "lethe_do: %s\n", strerror(-err));
		return 1;
	}
	printf("%s stack %d block %d\n", found.backend, found.stack, found.block);
	return 0;
}
