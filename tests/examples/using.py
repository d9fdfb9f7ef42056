# SPDX-License-Identifier: MIT
#
# A program of user/examples, used as its reader would and searched: as it runs, and as it
# ends. Knows none of them, and judges nothing.
"""An example's program, and what a reader from outside finds of its secrets."""

import contextlib
import fcntl
import os
import re
import signal
import subprocess
import sys
import termios
import time

for beside in ("..", "../programs", "../residue"):
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), beside))
from points import Document  # noqa: E402,F401  pylint: disable=C0413
from searcher import Maps, fresh, look  # noqa: E402,F401  pylint: disable=C0413
from way import SECONDS, Failed, limited  # noqa: E402,F401  pylint: disable=C0413

BUILD, BACKEND = os.path.abspath(sys.argv[1]), sys.argv[2]
EXAMPLES = os.path.join(BUILD, "tests/examples")
HOLLOW = f"{BUILD}/tests/residue/hollow.so {EXAMPLES}/hollow_memory.so"
# Its standard input and output, which to_exit has itself; "" for neither.
REDIRECTED = ('[ -z "$1" ] || exec <"$1"; [ -z "$2" ] || exec >"$2"; shift 2; exec "$@"')


def soon(condition, seconds=SECONDS):
    """Whether it comes to be."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.02)
    return False


class Example:
    """
    A program within 8 MiB of secret memory, held as it ends. With @hollow what there is of
    Lethe protects from nothing: the control. @watched, for inside(). @terminal, a
    descriptor, is its session's.
    """

    def __init__(self, scratch, words, hollow=False, watched=False, terminal=None, stdin="",
                 stdout="", pass_fds=()):
        self.said = os.path.join(scratch, "said")
        self.hollow = hollow
        program = os.path.join(EXAMPLES, words[0])
        # Of the program alone, not of what holds it.
        preloaded = HOLLOW if hollow else f"{EXAMPLES}/inside.so" if watched else ""
        front = ["env", f"LETHE_BACKEND={BACKEND}", f"LD_PRELOAD={preloaded}"]

        def prepare():
            limited()
            os.setsid()
            if terminal is not None:
                fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)

        with open(self.said, "w") as said:
            self.process = subprocess.Popen(
                [f"{BUILD}/tests/programs/to_exit", "sh", "-c", REDIRECTED, "sh", stdin, stdout,
                 *front, program, *words[1:]], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=said, pass_fds=pass_fds, preexec_fn=prepare)
        children = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        self.pid = 0

        def begun():
            with open(children) as file:
                self.pid = int(file.read() or 0)
            if not self.pid:
                return False
            return os.readlink(f"/proc/{self.pid}/exe") == program

        try:
            if not soon(begun):
                raise Failed(f"{words[0]} did not begin: {self.words()}")
        except OSError as error:
            raise Failed(f"{words[0]} did not begin: {error} {self.words()}") from error

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # One that has become another user does not end with who holds it.
        if self.pid and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()
        if self.pid and not soon(lambda: not os.path.exists(f"/proc/{self.pid}")):
            raise Failed(f"it outlives its test: {self.pid}")
        self.process.stdin.close()
        self.process.stdout.close()

    def words(self):
        """What it said."""
        with open(self.said) as said:
            return said.read().strip()

    def found(self, secrets):
        """Copies outside of secret pages, and on those that can be read: on mlock alone."""
        counts = look(f"{BUILD}/bin/lethectl", self.pid, secrets).copies(Maps(self.pid))
        inside = counts.pop("secret", 0)
        return sum(counts.values()), inside

    def end(self, number=0):
        """Until its last call; what it was told."""
        if number:
            os.kill(self.pid, number)
        words = self.process.stdout.readline().split()
        if words != [b"ending", str(self.pid).encode()]:
            raise Failed(f"it did not come to its end: {words} {self.words()}")

    def inside(self):
        """As it has ended: whether all that libcrypto did with secrets was in sections."""
        told = re.search(r"^inside (\d+) outside (\d+)$", self.words(), re.M)
        return bool(told) and int(told[1]) > 0 and int(told[2]) == 0

    def ended(self):
        """Its status."""
        self.process.stdin.close()
        return self.process.wait(SECONDS)
