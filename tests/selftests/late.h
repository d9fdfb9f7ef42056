/* SPDX-License-Identifier: MIT */
/*
 * A library whose functions are bound when they are first called: two of each kind,
 * since there is one first call of each.
 */
#ifndef TESTS_LATE_H
#define TESTS_LATE_H

extern unsigned int late_calls;    /* of any of the four */
extern unsigned int late_resolved; /* resolvers that were run */

void late_plainly(void);
void late_inside(void);
/* By an IFUNC resolver. */
void late_resolved_plainly(void);
void late_resolved_inside(void);

#endif /* TESTS_LATE_H */
