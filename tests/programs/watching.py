# SPDX-License-Identifier: MIT
#
# lethectl watch, run and looked at: on a pipe or a terminal, with what it says, how it
# ends, and what it leaves. Judges nothing.
"""Runs lethectl watch."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from points import Document  # noqa: E402,F401

PATIENCE = 60


def _as_a_shell_does():
    """A background job of one that ignores SIGINT would do so, too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _on_its_terminal():
    _as_a_shell_does()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Watch:
    """One run. stdout is collected as it comes, unless @read is False; @terminal is the
    rows and columns of one, which controls it if @controls says so."""

    def __init__(self, command, *, env=None, read=True, stdout=None, terminal=None,
                 controls=True):
        self.out, self.err = bytearray(), bytearray()
        self.master = None
        env = {**os.environ, "LC_ALL": "C", **(env or {})}
        if terminal:
            self.master, slave = pty.openpty()
            self.resize(*terminal)
            stdout = slave
        self.process = subprocess.Popen(
            command, stdin=slave if terminal else subprocess.DEVNULL, env=env,
            stdout=stdout if stdout is not None else subprocess.PIPE, stderr=subprocess.PIPE,
            preexec_fn=_on_its_terminal if terminal and controls else _as_a_shell_does,
            start_new_session=bool(terminal))
        if terminal:
            os.close(slave)
        self.source = self.master if terminal else \
            self.process.stdout.fileno() if self.process.stdout else None
        self.followers = [self._follow(self.process.stderr.fileno(), self.err)]
        if read and self.source is not None:
            self.read()

    @staticmethod
    def _collect(source, to):
        while True:
            try:
                data = os.read(source, 1 << 16)
            except OSError:  # of a terminal whose other end is closed
                return
            if not data:
                return
            to += data

    def _follow(self, source, to):
        thread = threading.Thread(target=self._collect, args=(source, to), daemon=True)
        thread.start()
        return thread

    def read(self):
        """From now on."""
        self.followers.append(self._follow(self.source, self.out))

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def text(self):
        return self.out.decode("utf-8", "replace")

    def said(self):
        return self.err.decode("utf-8", "replace")

    def everything(self):
        return f"status {self.process.poll()}\n{self.text()[-3000:]}\n{self.said()}"

    def wait_for(self, pattern, where="out", seconds=PATIENCE):
        """Until it has said that. False: it has not."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if re.search(pattern, (self.text if where == "out" else self.said)(), re.S):
                return True
            if self.process.poll() is not None:
                time.sleep(0.1)
                return bool(re.search(pattern,
                                      (self.text if where == "out" else self.said)(), re.S))
            time.sleep(0.02)
        return False

    def ready(self):
        """It watches, and signals are waited for."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and self.process.poll() is None:
            if "secret frames by" in self.said() or '"begin"' in self.text():
                return True
            time.sleep(0.01)
        return False

    def end(self, number=signal.SIGINT, seconds=PATIENCE):
        """Asks it to end. Its status, or None: it did not."""
        if number and self.process.poll() is None:
            self.process.send_signal(number)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None
        for follower in self.followers:
            follower.join(1)
        return self.process.returncode

    def hang_up(self):
        """The terminal is gone, as it is with a window that is closed."""
        os.close(self.master)
        self.master = None

    def objects(self):
        return [json.loads(line) for line in self.out.decode("utf-8").splitlines()]


KINDS_OF_BPF = {"prog_id": "prog", "link_id": "link", "map_id": "map"}


def held(pid):
    """What of BPF a process holds, as (kind, number): nobody else's is looked at."""
    found = set()
    for name in os.listdir(f"/proc/{pid}/fdinfo"):
        try:
            with open(f"/proc/{pid}/fdinfo/{name}") as file:
                lines = [line.split(":") for line in file.read().splitlines()]
        except OSError:
            continue
        # A link's has its program's number, too.
        found |= {(KINDS_OF_BPF[line[0]], int(line[1])) for line in lines
                  if line[0] in KINDS_OF_BPF}
    return found


def is_there(kind, number):
    return subprocess.run(["/usr/sbin/bpftool", kind, "show", "id", str(number)],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def still_there(things, seconds=10):
    """Those of @things that are, even when there was time to free them."""
    until = time.monotonic() + seconds
    while True:
        left = [thing for thing in sorted(things) if is_there(*thing)]
        if not left or time.monotonic() > until:
            return left
        time.sleep(0.2)
