// SPDX-License-Identifier: MIT
/*
 * A section with LETHE_FAST, in which a signal is handled on the program's own alternate
 * stack: says how many bytes of that are not zero after a signal outside of sections,
 * and after the section.
 */
#include <lethe.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static char stack[64 * 1024] __attribute__((aligned(4096)));

static void handler(int number)
{
	(void)number;
}

static void section(void *arg)
{
	(void)arg;
	raise(SIGUSR1);
}

static size_t left(void)
{
	size_t at, count = 0;

	for (at = 0; at < sizeof(stack); at++)
		count += stack[at] != 0;
	return count;
}

int main(void)
{
	const struct lethe_options options = { .size = sizeof(options),
					       .flags = LETHE_FAST };
	const stack_t ours = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_ONSTACK };
	size_t outside;
	int err;

	if (sigaltstack(&ours, NULL) || sigaction(SIGUSR1, &action, NULL))
		return 2;
	raise(SIGUSR1);
	outside = left();
	memset(stack, 0, sizeof(stack));
	err = lethe_do_with(&options, section, NULL, NULL);
	printf("%s, %s\n", outside ? "outside some" : "outside none",
	       left() ? "inside some" : "inside none");
	return err != 0;
}
