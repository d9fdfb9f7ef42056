// SPDX-License-Identifier: MIT
/* The library of late.h. It does nothing but to be bound. */
#include "late.h"

unsigned int late_calls, late_resolved;

static void count_call(void)
{
	late_calls++;
}

void late_plainly(void)
{
	count_call();
}

void late_inside(void)
{
	count_call();
}

__attribute__((used)) static void (*resolve(void))(void)
{
	late_resolved++;
	return count_call;
}

void late_resolved_plainly(void) __attribute__((ifunc("resolve")));
void late_resolved_inside(void) __attribute__((ifunc("resolve")));
