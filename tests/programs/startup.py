#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# What it takes a program to start and end, plainly and under `lethectl run`, by turns:
# the median of each, and of the differences, in milliseconds.
"""startup.py LETHECTL ROUNDS: a table."""

import os
import statistics
import sys
import time

PROGRAMS = (["/bin/true"], ["/usr/bin/ssh-add", "-h"], ["/usr/bin/openssl", "version"],
            ["/usr/bin/wg", "genkey"], ["/usr/bin/python3", "-I", "-c", ""])


def milliseconds(command):
    """From before it is made to when it is gone."""
    quiet = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1, 2)]
    began = time.perf_counter()
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=quiet)
    os.waitpid(pid, 0)
    return (time.perf_counter() - began) * 1000


def main():
    lethectl, rounds = os.path.abspath(sys.argv[1]), int(sys.argv[2])
    print("start and end of\tplainly, ms\tunder run, ms\tdifference, ms\tquartiles")
    for program in PROGRAMS:
        if not os.path.exists(program[0]):
            continue
        pairs = []
        for turn in range(rounds + 3):
            pair = milliseconds(program), milliseconds([lethectl, "run", "--", *program])
            # The first ones read files.
            if turn >= 3:
                pairs.append(pair)
        more = [under - plain for plain, under in pairs]
        low, middle, high = statistics.quantiles(more, n=4)
        print(" ".join(program[:2]).replace(" -I", ""),
              *(f"{statistics.median(column):.2f}" for column in zip(*pairs)),
              f"{middle:+.2f}", f"{low:+.2f}..{high:+.2f}", sep="\t")


if __name__ == "__main__":
    main()
