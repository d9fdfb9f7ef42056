#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# What it takes a program to start and end, plainly, by env(1), which is a second
# program as lethectl is, and under `lethectl run`, by turns: medians, in milliseconds.
# What of it is the processor's is lengthened less by others that are busy.
"""startup.py LETHECTL ROUNDS: a table."""

import os
import statistics
import sys
import time

PROGRAMS = (["/bin/true"], ["/usr/bin/wg", "genkey"], ["/usr/bin/openssl", "version"],
            ["/usr/bin/python3", "-I", "-c", ""])
# Files are read in the first.
COLD = 3


def milliseconds(command):
    """From before it is made to when it is gone; and of the processor."""
    quiet = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1, 2)]
    began = time.perf_counter()
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=quiet)
    _, status, used = os.wait4(pid, 0)
    if status:
        sys.exit(f"{command}: status {status}")
    return ((time.perf_counter() - began) * 1000,
            (used.ru_utime + used.ru_stime) * 1000)


def main():
    lethectl, rounds = os.path.abspath(sys.argv[1]), int(sys.argv[2])
    ways = [], ["/usr/bin/env"], [lethectl, "run", "--"]
    print("start and end of\tplainly, ms\tby env\tunder run\tmore than plainly"
          "\tof the processor")
    for program in PROGRAMS:
        if not os.path.exists(program[0]):
            continue
        turns = [[milliseconds(way + program) for way in ways]
                 for _ in range(rounds + COLD)][COLD:]
        medians = [statistics.median(turn[way][0] for turn in turns) for way in range(3)]
        more, processor = (statistics.median(turn[2][kind] - turn[0][kind]
                                             for turn in turns) for kind in (0, 1))
        print(os.path.basename(program[0]), *(f"{median:.2f}" for median in medians),
              f"{more:+.2f}", f"{processor:+.2f}", sep="\t")


if __name__ == "__main__":
    main()
