# SPDX-License-Identifier: MIT
#
# A program run in one of two ways, and searched: as it serves, as it ends, in a core
# file. Knows no program, and judges nothing.
"""How a program is run, and what a reader from outside finds of it."""

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../residue"))
from searcher import SECONDS, Maps, Unsearched, kind_of, look

PR_CAPBSET_READ, PR_CAPBSET_DROP, CAP_IPC_LOCK = 23, 24, 14
LIMIT = 8 * 1024 * 1024

# The searcher's places, in the words of the table. Locked is what is kept from swap and
# dumps: libsodium's buffers; and Lethe's pages on mlock, which root can read. What the
# kernel has is not the program's, and is told apart.
PLACES = {"heap": "heap", "anonymous": "mapped", "stack": "stack", "library": "static",
          "register": "register", "secret": "locked", "kernel": "kernel"}
COLUMNS = tuple(PLACES.values())


class Failed(Exception):
    """A program did not do what it is for."""


def limited():
    """The limit of most machines, for root as well."""
    libc = ctypes.CDLL(None, use_errno=True)
    hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
    most = LIMIT if hard == resource.RLIM_INFINITY else min(LIMIT, hard)
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (most, most))
    if libc.prctl(PR_CAPBSET_READ, CAP_IPC_LOCK, 0, 0, 0) == 1:
        libc.prctl(PR_CAPBSET_DROP, CAP_IPC_LOCK, 0, 0, 0)


class Way:
    """How a program is run: plainly, or with what is put in front of it."""

    def __init__(self, build, scratch, prefix, limit):
        self.build, self.scratch, self.prefix, self.limit = build, scratch, prefix, limit
        self.said = os.path.join(scratch, "said")
        self.input = None
        # KiB of secret heap, where it is known for being unreadable.
        self.secret = 0
        open(self.said, "w").close()

    def path(self, name):
        return os.path.join(self.scratch, name)

    def start(self, command, terminal=False, **more):
        """With @terminal, its stdin is the one that it has for passphrases."""
        front = ["setsid", "--ctty"] if terminal else []
        with open(self.said, "a") as said:
            return subprocess.Popen(front + self.prefix + command, stderr=said, text=True,
                                    preexec_fn=limited if self.limit else None, **more)

    def run(self, command, **more):
        process = self.start(command, stdout=subprocess.PIPE, **more)
        text = process.communicate(timeout=SECONDS)[0]
        if process.returncode:
            raise Failed(f"{command[0]}: status {process.returncode}: {self.words()}")
        return text

    def words(self):
        with open(self.said) as said:
            return said.read().strip()

    def search(self, pid, secrets):
        """Copies by place, from the process as it serves on."""
        seen = look(os.path.join(self.build, "bin/lethectl"), pid, secrets)
        self.secret = seen.protected // 1024
        counts = dict.fromkeys(COLUMNS, 0)
        for place, copies in seen.copies(Maps(pid)).items():
            counts[PLACES[place]] += copies
        return counts

    def search_at_exit(self, command, output, secrets):
        """Likewise as it ends; @secrets() when its output is there."""
        line = ["sh", "-c", 'out=$1; shift; exec "$@" >"$out"', "sh", output]
        if self.input:
            line[2] = f'exec <"$IN"; {line[2]}'
        with open(self.said, "a") as said:
            process = subprocess.Popen(
                [os.path.join(self.build, "tests/programs/to_exit"), *line, *self.prefix,
                 *command], stderr=said, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                env={**os.environ, "IN": self.input or ""},
                preexec_fn=limited if self.limit else None)
        try:
            words = process.stdout.readline().split()
            if words[:1] != [b"ending"]:
                raise Failed(f"{command[0]} did not come to its end: {self.words()}")
            counts = self.search(int(words[1]), secrets())
            process.communicate(timeout=SECONDS)
        finally:
            process.kill()
            process.wait()
        if process.returncode:
            raise Failed(f"{command[0]}: status {process.returncode}: {self.words()}")
        return counts

    @staticmethod
    def memory(pid):
        """All that can be read of it, and the place of each piece."""
        maps = Maps(pid)
        with open(f"/proc/{pid}/mem", "rb", 0) as mem:
            for number, start in enumerate(maps.starts):
                end = maps.maps[number]["end"]
                # The kernel's own page at the end has no offset that is a number.
                if end - start >= 1 << 30 or end >= 1 << 63:
                    continue
                finding = {"in": "memory", "address": start,
                           "mapping": maps.maps[number]["name"]}
                with contextlib.suppress(OSError):
                    mem.seek(start)
                    yield mem.read(end - start), PLACES[kind_of(finding, maps)]

    def core(self, pid, count):
        """Copies in a core file that gdb makes, as @count() counts them."""
        stem = self.path("core")
        subprocess.run(["gcore", "-o", stem, str(pid)], capture_output=True,
                       timeout=SECONDS, check=False)
        try:
            with open(f"{stem}.{pid}", "rb") as core:
                bytes_there = core.read()
        except FileNotFoundError as missing:
            raise Failed("gcore made no file") from missing
        os.unlink(f"{stem}.{pid}")
        return count(bytes_there)


def whole(*secrets):
    """Counts whole copies."""
    return lambda memory: sum(memory.count(secret) for secret in secrets)


def terminate(pid):
    """And wait until it is gone, whoever's child it is."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        for _ in range(500):
            os.kill(pid, 0)
            with open(f"/proc/{pid}/stat") as stat:
                if stat.read().rsplit(") ", 1)[1][0] in "ZX":
                    return
            time.sleep(0.02)
        os.kill(pid, signal.SIGKILL)
