/* SPDX-License-Identifier: MIT */
/* A section, and which backend it was on. */
#include <lethe.h>
#include <stdio.h>

static void fn(void *arg)
{
	*(int *)arg = lethe_enabled();
}

int main(void)
{
	int inside = 0;
	int err = lethe_do(fn, &inside);

	printf("%d %d %s\n", err, inside, lethe_backend());
	return err || !inside;
}
