/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The door for io_uring: see uring.c.
 */
#ifndef LETHE_URING_H
#define LETHE_URING_H

struct io_uring_cmd;

int lethe_uring_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags);

#endif /* LETHE_URING_H */
