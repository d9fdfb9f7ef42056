# SPDX-License-Identifier: MIT
#
# lethectl watch on the probes' double: runs it, and tells its probes what to tell, as
# double.c has it. Judges nothing.
"""Watches of a lethectl whose probes tell what they are told."""

import contextlib
import os
import shutil
import tempfile
import time

from watching import Watch

PAGE = "7f0000001000 4096"
ME = os.getpid()


class Double:
    """Watches of one lethectl, and the FIFO that tells its probes what to tell."""

    def __init__(self, lethectl, scratch):
        self.lethectl, self.scratch = lethectl, scratch
        self.fifo = os.path.join(scratch, "fifo")
        os.mkfifo(self.fifo)

    def watch(self, *options, env=None, before=(), wait=True, **how):
        env = {"LETHE_DOUBLE": self.fifo, **(env or {})}
        watch = Watch([*before, self.lethectl, "watch", *options], env=env, **how)
        if wait:
            watch.ready()
        return watch

    def _open(self):
        """Without waiting for ever for a lethectl that is not there."""
        until = time.monotonic() + 20
        while True:
            try:
                return os.open(self.fifo, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)

    def tell(self, *lines):
        """What its probes then tell."""
        with open(self._open(), "wb") as fifo:
            for line in lines:
                fifo.write((line if isinstance(line, bytes) else line.encode()) + b"\n")

    def tell_all(self, watch, *lines):
        """And it was seen."""
        self.tell(*lines, f"event leaving 3 {ME} {ME} 0 0 0 0 2 MARK")
        return watch.wait_for("MARK")

    def run(self, *lines, options=(), env=None):
        """All of that told, and seen: the watch, ended."""
        watch = self.watch(*options, env=env)
        if watch.process.poll() is None:
            self.tell_all(watch, *lines)
        watch.status = watch.end()
        return watch


def swap(target=ME, frame="1a2b3", kind=2, how=3, times=1):
    return f"event swap {how} 45 {target} 0 0 0 {frame} {kind} kswapd0 {times}"


def access(how, result, pid=123, target=ME, kind=4):
    return f"event access {how} {pid} {target} {result} {PAGE} 0 {kind} gdb"


def leaving(pid=ME, times=1, how=0, name="sender"):
    return f"event leaving {how} {pid} {pid} 0 {PAGE} 0 2 {name} {times}"


PIN, PTRACE, ATTACH, PROCESS_VM, PROC_MEM, CORE, PERF, BPF = range(8)
CLEAN, VIOLATION, UNKNOWN = range(3)
SEEN = "count swap 1 48211 0 0"


def names_of(directory):
    return sorted(os.listdir(directory))


@contextlib.contextmanager
def scratch_directory():
    path = tempfile.mkdtemp()
    try:
        yield path
    finally:
        shutil.rmtree(path)
