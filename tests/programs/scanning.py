# SPDX-License-Identifier: MIT
#
# What the tests of `lethectl scan` have in common: processes to be searched, the verb
# itself, and one document.
import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from points import Document  # noqa: E402

LETHECTL, DIRECTORY = sys.argv[1], sys.argv[2]
SUBJECT = os.path.join(DIRECTORY, 'scan_subject')
DOCUMENT = Document()
result, note = DOCUMENT.ok, DOCUMENT.say


def key():
    while True:
        secret = os.urandom(32)
        if all(len(set(secret[i:i + 8])) > 3 for i in range(25)):
            return secret


class Subject:
    """A process that does something, and has a secret or none."""

    def __init__(self, way, number=0, secret=None):
        self.file = tempfile.NamedTemporaryFile()
        self.file.write(bytes(4096))
        self.file.flush()
        self.process = subprocess.Popen([SUBJECT, way, self.file.name, str(number)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = self.process.pid
        self.process.stdin.write(secret or b'')
        self.process.stdin.close()
        self.answer = self.process.stdout.readline().decode().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pid in self.children() + [self.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()

    def children(self):
        with contextlib.suppress(OSError), \
                open('/proc/%d/task/%d/children' % (self.pid, self.pid)) as file:
            return [int(pid) for pid in file.read().split()]
        return []

    def counts(self):
        with open(self.file.name, 'rb') as file:
            return struct.unpack('QQ', file.read(16))

    def goes_on(self):
        """It counts, and so runs."""
        before = self.counts()[0]
        until = time.monotonic() + 10
        while time.monotonic() < until:
            if self.counts()[0] > before + 1:
                return True
            time.sleep(0.005)
        return False

    def goes_on_soon(self):
        before = self.counts()[0]
        time.sleep(0.05)
        return self.counts()[0] != before

    def status(self, name):
        with open('/proc/%d/status' % self.pid) as file:
            return next(line.split()[1] for line in file if line.startswith(name + ':'))


def command(pid, fd, *options):
    return [LETHECTL, 'scan', '--pid', str(pid), '--secret-fd', str(fd), *options]


@contextlib.contextmanager
def opened(secret):
    with tempfile.TemporaryFile() as file:
        file.write(secret)
        file.seek(0)
        yield file.fileno()


def scan(pid, secret, *options, before=(), **more):
    with opened(secret) as fd:
        return subprocess.run([*before, *command(pid, fd, *options)], pass_fds=[fd], timeout=60,
                              stdout=more.pop('stdout', subprocess.PIPE),
                              stderr=subprocess.PIPE, check=False, **more)


def answer(pid, secret, *options):
    run = scan(pid, secret, '--json', *options)
    return run.returncode, json.loads(run.stdout)


def is_refused(run, *words):
    said = run.stderr.decode()
    good = run.returncode == 2 and all(word in said for word in words)
    if not good:
        note('%d: %s' % (run.returncode, said))
    return good


def end(parts, planned):
    """All parts, and the plan. The exit status."""
    for part in parts:
        part()
    return DOCUMENT.end(planned)
