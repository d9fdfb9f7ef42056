#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""That what lethe.hpp keeps secret is found nowhere in the process.

    residue.py LETHECTL PROGRAM MALLOC

Strings, vectors, results and exceptions, each done with the standard's own and with
lethe.hpp's (residue.cpp), searched by `lethectl scan` while they are there and when they are
over, on each fallback. The standard's are the control: of those copies must be found. On
mlock, where the searcher can read secret pages, what is kept must be found there, and
nowhere else. Never writes a secret anywhere but into the pipe to the program.
"""
import os
import subprocess
import sys

for beside in ("..", "../residue"):
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), beside))
import searcher  # noqa: E402
from points import Document  # noqa: E402

BACKENDS = ("memfd_secret", "mlock")
# Its stages.
KEPT, OVER = "kept", "over"


class Row:
    """One thing: where it is looked at, and where the control must be found."""

    def __init__(self, thing, length, sentence, stages=(KEPT, OVER), found=(KEPT,),
                 registers=True):
        self.thing, self.length, self.sentence = thing, length, sentence
        self.stages, self.found, self.registers = stages, found, registers


ROWS = [
    Row("string", 15, "a short lethe::string"),
    Row("string", 32, "a longer lethe::string", found=(KEPT, OVER)),
    Row("vector", 32, "a vector with lethe::allocator", found=(KEPT, OVER)),
    Row("returned", 32, "what lethe::run() has returned and its caller wiped", (OVER,), (OVER,)),
    # Its caller moves it, by registers.
    Row("moved", 32, "and what it had to move", (OVER,), (OVER,), registers=False),
]


def secret_of(length):
    """One that is text to C: without a zero."""
    while True:
        secret = searcher.fresh(length)
        if 0 not in secret:
            return secret


class Subject:
    """The program, from stage to stage."""

    def __init__(self, program, words, backend, preload=None):
        self.secret = secret_of(int(words[-1]))
        environment = dict(os.environ, LETHE_BACKEND=backend)
        if preload:
            environment["LD_PRELOAD"] = preload
        ours, theirs = os.pipe()
        os.write(theirs, self.secret)
        os.close(theirs)
        # dup2() gives the program a 3, whichever number the pipe has here.
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", f'exec "$0" "$@" 3<&{ours}', program, *words],
            env=environment, pass_fds=[ours], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        os.close(ours)

    def come_to(self, stage):
        """Is it there?"""
        return self.process.stdout.readline().decode().strip() == stage

    def go_on(self):
        """To the next."""
        self.process.stdin.write(b".")
        self.process.stdin.flush()

    def end(self):
        """Its exit status."""
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait(timeout=searcher.SECONDS)


def stages(lethectl, program, words, backend, preload=None):
    """What is found at each stage, by kind of place; None where it did not get there."""
    subject = Subject(program, words, backend, preload)
    found = {}
    try:
        for stage in (OVER,) if words[0] in ("returned", "moved") else (KEPT, OVER):
            if not subject.come_to(stage):
                return None
            found[stage], _ = searcher.count(lethectl, subject.process.pid, [subject.secret])
            subject.go_on()
    finally:
        status = subject.end()
    return found if status == 0 else None


def ordinary(counts, registers=True):
    """Of what was found, all that is not on secret pages."""
    return sum(n for kind, n in counts.items()
               if kind != "secret" and (registers or kind != "register"))


def is_clean(found, row, backend):
    """Nothing in ordinary memory; on mlock, in the program's own buffer, and where it is kept."""
    if found is None:
        return False
    for stage in row.stages:
        secret = found[stage]["secret"]
        if ordinary(found[stage], row.registers):
            return False
        if backend == "mlock" and (secret < 2 if stage == KEPT else secret != 1):
            return False
    return True


def main(lethectl, program, malloc):
    tap = Document()
    for backend in BACKENDS:
        for row in ROWS:
            plainly = stages(lethectl, program, [row.thing, "std", str(row.length)], backend)
            tap.ok(plainly is not None and all(ordinary(plainly[s], row.registers) for s in row.found),
                   f"{backend}: control: {row.thing}, {row.length} bytes, is found plainly",
                   plainly)
            ours = stages(lethectl, program, [row.thing, "lethe", str(row.length)], backend)
            tap.ok(is_clean(ours, row, backend), f"{backend}: {row.sentence} is on secret pages alone",
                   ours)
        words = ["exception", "std", "40"]
        plainly = stages(lethectl, program, words, backend)
        tap.ok(plainly is not None and ordinary(plainly[KEPT]) and ordinary(plainly[OVER]),
               f"{backend}: control: an exception's what() is found plainly", plainly)
        words[1] = "section"
        alone = stages(lethectl, program, words, backend)
        tap.ok(alone is not None and ordinary(alone[KEPT]),
               f"{backend}: and out of a section without liblethe-malloc, as the manual says",
               alone)
        redirected = stages(lethectl, program, words, backend, malloc)
        row = Row("exception", 40, "")
        tap.ok(is_clean(redirected, row, backend),
               f"{backend}: with liblethe-malloc it is on secret pages alone", redirected)
    return tap.end(len(BACKENDS) * (2 * len(ROWS) + 3))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
