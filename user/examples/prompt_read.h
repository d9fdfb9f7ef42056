/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What getpass(3) is for, with nothing left behind. Two files to take over as they are.
 */
#ifndef PROMPT_READ_H
#define PROMPT_READ_H

#include <sys/types.h>

struct lethe_buffer;

/**
 * prompt_read() - ask for a passphrase on the terminal
 * @question: is written there before, and again after a stop
 * @passphrase: where the characters go, and nowhere else; accessible to nobody afterwards
 *
 * Without echo, a character at a time. Erase (backspace), kill (^U) and word-erase (^W), as
 * the terminal has them set, take back one character (of UTF-8 one too), all, a word.
 * Signals from the keyboard or elsewhere (SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGTSTP, ...) do
 * what they would do without this, after the terminal was put back; where the process goes
 * on, so does the prompt, with what was typed gone. One thread at a time.
 *
 * Return: how many bytes of @passphrase there are; -EMSGSIZE, there were more than fit, and
 * all of them were read; -ENODATA, the end of file or a terminal that is gone; -EINTR, a
 * signal that is handled, and that a handler without SA_RESTART was run for; -ENXIO, there
 * is no terminal; or another errno. But for a length, nothing is in @passphrase.
 */
ssize_t prompt_read(const char *question, struct lethe_buffer *passphrase);

#endif /* PROMPT_READ_H */
