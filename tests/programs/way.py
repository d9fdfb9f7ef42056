# SPDX-License-Identifier: MIT
#
# A program run in one of two ways, and searched: as it serves, as it ends, in a core
# file. Knows no program, and judges nothing.
"""How a program is run, and what a reader from outside finds of it."""

import contextlib
import ctypes
import os
import re
import resource
import signal
import subprocess
import time

import known

SECONDS = 120
PR_CAPBSET_READ, PR_CAPBSET_DROP, CAP_IPC_LOCK = 23, 24, 14
LIMIT = 8 * 1024 * 1024

# residue-search's places, in the words of the table. Locked is what is kept from swap
# and dumps: libsodium's buffers; and Lethe's pages on mlock, which root can read.
PLACES = {"heap": "heap", "anonymous": "mapped", "stack": "stack", "library": "static",
          "register": "register", "secret": "locked"}
COLUMNS = ("heap", "mapped", "stack", "static", "register", "locked")


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

    def start(self, command, **more):
        with open(self.said, "a") as said:
            return subprocess.Popen(self.prefix + command, stderr=said, text=True,
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

    def search(self, pid, needles):
        """Copies by place, from the process as it serves on."""
        found = subprocess.run([self.searcher(), str(pid)], input=b"".join(needles),
                               capture_output=True, timeout=SECONDS, check=False)
        if found.returncode:
            raise Failed("residue-search: " + found.stderr.decode())
        return self.count(found.stdout.decode())

    def search_at_exit(self, command, output, needles):
        """Likewise as it ends; @needles() when its output is there."""
        line = ["sh", "-c", 'out=$1; shift; exec "$@" >"$out"', "sh", output]
        if self.input:
            line[2] = f'exec <"$IN"; {line[2]}'
        with open(self.said, "a") as said:
            process = subprocess.Popen(
                [self.searcher(), "-x", *line, *self.prefix, *command], stderr=said,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                env={**os.environ, "IN": self.input or ""},
                preexec_fn=limited if self.limit else None)
        try:
            if process.stdout.readline() != b"ending\n":
                raise Failed(f"{command[0]} did not come to its end: {self.words()}")
            text = process.communicate(b"".join(needles()), timeout=SECONDS)[0]
        finally:
            process.kill()
            process.wait()
        if process.returncode:
            raise Failed("residue-search: " + self.words())
        return self.count(text.decode())

    def searcher(self):
        return os.path.join(self.build, "tests/residue/residue-search")

    def count(self, text):
        counts = dict.fromkeys(COLUMNS, 0)
        for line in text.splitlines():
            fields = line.split("\t")
            if fields[0] == "found" and fields[2] != "nowhere":
                counts[PLACES[fields[2]]] += int(fields[3])
            elif fields[0] == "unreadable" and fields[1].endswith(("/secretmem", "[lethe]")):
                self.secret += int(fields[2]) // 1024
        return counts

    @staticmethod
    def mappings(pid):
        """Where each begins and ends, and its place."""
        found = []
        with open(f"/proc/{pid}/smaps") as smaps:
            for line in smaps:
                words = line.split()
                if re.match("[0-9a-f]+-[0-9a-f]+ ", line):
                    start, end = (int(part, 16) for part in words[0].split("-"))
                    found.append([start, end, "heap" if "[heap]" in words else "mapped"])
                elif words[0] == "VmFlags:" and {"lo", "dd"} <= set(words):
                    found[-1][2] = "locked"
        return found

    def memory(self, pid):
        """All that can be read of it, and the place of each piece."""
        with open(f"/proc/{pid}/mem", "rb", 0) as mem:
            for start, end, place in self.mappings(pid):
                # The kernel's own page at the end has no offset that is a number.
                if end - start >= 1 << 30 or end >= 1 << 63:
                    continue
                with contextlib.suppress(OSError):
                    mem.seek(start)
                    yield mem.read(end - start), place

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


def by_name(**secrets):
    return [known.needle(name, secret) for name, secret in secrets.items()]


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
