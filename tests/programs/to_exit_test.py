#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# to_exit: a program is held as it ends, whole, for as long as one likes, and only that one.
# KTAP on stdout.
#
#	to_exit_test.py LETHECTL TO_EXIT
import os
import subprocess
import sys
import tempfile
import time

for beside in ("..", "../residue"):
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), beside))
from points import Document  # noqa: E402
from searcher import count, fresh  # noqa: E402

LETHECTL, TO_EXIT = sys.argv[1:]
PLANNED = 10
DOCUMENT = Document()
result = DOCUMENT.ok


class Held:
    """A program, when it ends; or, if it does not come to that, how it ended."""

    def __init__(self, *command):
        self.process = subprocess.Popen([TO_EXIT, *command], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        words = self.process.stdout.readline().split()
        self.pid = int(words[1]) if words[:1] == [b"ending"] else None

    def status(self):
        """Its own, when it is let go."""
        try:
            self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        return self.process.wait()


def lives(pid):
    """Is it there, and no zombie?"""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(") ", 1)[1][0] not in "ZX"
    except FileNotFoundError:
        return False


def ends(pid):
    """Soon?"""
    until = time.monotonic() + 10
    while lives(pid) and time.monotonic() < until:
        time.sleep(0.01)
    return not lives(pid)


def child_of(process):
    """Its one child, once that is what it is to be."""
    while True:
        with open(f"/proc/{process.pid}/task/{process.pid}/children") as children:
            pid = children.read().strip()
        if pid:
            with open(f"/proc/{pid}/comm") as name:
                if name.read() == "sleep\n":
                    return pid
        time.sleep(0.01)


def main():
    """All."""
    secret = fresh()
    held = Held("python3", "-c", "import os; a = bytes.fromhex('%s'); os._exit(7)" % secret.hex())
    found = [count(LETHECTL, held.pid, [secret])[0] for _ in range(3)]
    result(sum(found[0].values()) > 0 and found[0] == found[1] == found[2],
           f"what it had is found as it ends, and once more: {sum(found[0].values())} copies")
    result(lives(held.pid), "and it is still there")
    result(held.status() == 7 and not lives(held.pid), "let go, it ends as it would have: 7")
    with tempfile.NamedTemporaryFile() as file:
        held = Held("sh", "-c", f"(exit 3); sh -c 'exit 4'; echo last >{file.name}; exit 5")
        result(file.read() == b"last\n", "children that end are not held")
    result(held.status() == 5, "nor is it their end that counts")
    held = Held("sh", "-c", "kill -9 $$")
    result(held.pid is None and held.status() == 137, "one that is killed has no such end")
    held = Held("no-such-program")
    result(held.pid is None and held.status() == 125, "one that is not there, neither")
    held = Held("python3", "-c", "import threading, os; t = threading.Thread(target=lambda: "
                "os._exit(6)); t.start(); t.join()")
    result(held.pid is not None and held.status() == 6, "any thread may end it")
    held = Held("true")
    held.process.kill()
    held.process.wait()
    result(ends(held.pid), "without to_exit, nothing stays held")
    with subprocess.Popen([TO_EXIT, "sleep", "100"], stdin=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as process:
        pid = child_of(process)
        process.kill()
    result(ends(pid), "nor goes on")
    return DOCUMENT.end(PLANNED)


if __name__ == "__main__":
    sys.exit(main())
