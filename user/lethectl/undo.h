/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Things to undo whatever happens: at exit(3), and at every standard signal that ends the
 * program and can be caught; the program then dies of that signal. Newest first, each once. A
 * child of fork(2) undoes nothing of its parent's.
 */
#ifndef LETHECTL_UNDO_H
#define LETHECTL_UNDO_H

#include <stdbool.h>

/**
 * undo_push() - have something undone
 * @undo: does that; also called in a signal handler, so it makes system calls alone,
 *	and allocates and prints nothing
 * @arg: handed to it; stays
 *
 * Before the thing is done, where @undo can tell that it was not: else a signal between
 * the two leaves it.
 *
 * Return: a number for undo_now() and undo_forget(). There is room for 64; who has more
 * is aborted.
 */
int undo_push(void (*undo)(void *arg), void *arg);
/* Undoes it now. */
void undo_now(int number);
/* There is nothing to undo any more. */
void undo_forget(int number);
/* Undoes all there is. */
void undo_all(void);

/* Catches the signals, if that has not been done; output_begin() and undo_push() do. */
void undo_begin(void);

/*
 * SIGINT and SIGTERM ask to stop from now on, the first time; the second ends the program
 * as others do. Calls that wait return EINTR.
 */
void stop_politely(void);
/* The signal that asked, or 0. */
int stop_asked(void);

#endif /* LETHECTL_UNDO_H */
