# SPDX-License-Identifier: MIT
"""Somebody before a terminal: a command on a pty of its own, keys typed, what appears
read. Knows which processes the command started, and whether any is left.
"""

import os
import pty
import re
import select
import signal
import subprocess
import termios
import time

_ESCAPES = re.compile(r'\x1b(?:\[[0-9;?]*[A-Za-z]|\(B|[=>])|.\x08|[\r\x0f]')


def plain(text):
    """What was printed, as a reader sees it: no colours, nothing struck over."""
    return _ESCAPES.sub('', text)


def children_of(pid):
    """The processes below this one: {pid: when it started}."""
    parents = {}
    for name in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{name}/stat', encoding='utf-8') as file:
                fields = file.read().rpartition(')')[2].split()
        except OSError:
            continue
        parents[int(name)] = (int(fields[1]), fields[19])
    found, grown = {pid: parents.get(pid, (0, ''))[1]}, True
    while grown:
        more = {child: when for child, (parent, when) in parents.items()
                if parent in found and child not in found}
        found |= more
        grown = bool(more)
    return found


def alive(processes):
    """Of these, those that are still the same."""
    left = []
    for pid, when in processes.items():
        try:
            with open(f'/proc/{pid}/stat', encoding='utf-8') as file:
                fields = file.read().rpartition(')')[2].split()
        except OSError:
            continue
        if fields[19] == when and fields[0] != 'Z':
            left.append(pid)
    return left


def has_qemu(processes):
    """Is QEMU among these?"""
    for pid in alive(processes):
        try:
            with open(f'/proc/{pid}/comm', encoding='utf-8') as file:
                if file.read().startswith('qemu-system'):
                    return True
        except OSError:
            continue
    return False


class Person:
    """A command on a terminal of 24 lines, within `with`. What it started is ended
    after it at the latest."""

    def __init__(self, words, environment):
        self._master, self._slave = pty.openpty()
        termios.tcsetwinsize(self._slave, (24, 80))
        self.before = termios.tcgetattr(self._slave)
        self._process = subprocess.Popen(
            words, stdin=self._slave, stdout=self._slave, stderr=self._slave,
            env=environment, preexec_fn=self._take_terminal, close_fds=True)
        self.started = {}
        self.seen = ''

    def _take_terminal(self):
        os.setsid()
        os.close(os.open(os.ttyname(self._slave), os.O_RDWR))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pid in alive(self.started | children_of(self._process.pid)):
            os.kill(pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._slave)
        os.close(self._master)

    def is_as_before(self):
        """Is the terminal in the state that it was in before?"""
        return termios.tcgetattr(self._slave) == self.before

    def type(self, keys):
        """Keys, as they are."""
        os.write(self._master, keys.encode())

    def wait_for(self, pattern, seconds):
        """What appears until the pattern does (and that is what is to come next);
        None where it does not in time."""
        end = time.monotonic() + seconds
        while True:
            text = plain(self.seen)
            if found := re.search(pattern, text):
                self.seen = text[found.end():]
                return text[:found.end()]
            left = end - time.monotonic()
            if left <= 0 or not select.select([self._master], [], [], left)[0]:
                return None
            self.seen += os.read(self._master, 65536).decode('utf-8', 'replace')

    def note_started(self):
        """Remember what runs now."""
        self.started |= children_of(self._process.pid)

    def ended(self, seconds):
        """Its exit status; None where it does not end in time."""
        end = time.monotonic() + seconds
        # Whoever writes to a terminal that nobody reads waits.
        while self._process.poll() is None and time.monotonic() < end:
            if select.select([self._master], [], [], 0.1)[0]:
                self.seen += os.read(self._master, 65536).decode('utf-8', 'replace')
        return self._process.poll()
