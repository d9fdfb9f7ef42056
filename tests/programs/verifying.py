# SPDX-License-Identifier: MIT
"""What the tests of `lethectl verify` have in common: the program, ways of its subject,
and results as KTAP on stdout. Of what it should find it knows nothing."""
import contextlib
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from points import Document  # noqa: E402

LETHECTL, BUILD = (os.path.realpath(argument) for argument in sys.argv[1:])
SUBJECT = os.path.join(BUILD, 'tests/programs/verify_subject')
DOCUMENT = Document()
result, note = DOCUMENT.ok, DOCUMENT.say

SECTION, MARK, EXIT, CORE, DUMPED, SWAP, ACCESS, LEAVING, END = (
    'no copy is left at the end of a section', 'no copy is there at a mark',
    'no copy is left as a process ends', 'no copy is in a core dump',
    'no secret page is dumped', 'no secret page goes to swap',
    'nobody gets at a secret page', 'what is handed to the kernel is seen',
    'the program ends well')


def key(size=32):
    while True:
        secret = os.urandom(size)
        if all(len(set(secret[i:i + 8])) > 3 for i in range(size - 7)):
            return secret


@contextlib.contextmanager
def secret_file(secret=None):
    with tempfile.NamedTemporaryFile() as file:
        file.write(secret or key())
        file.flush()
        yield file.name


def command(fd, *options, program):
    return [LETHECTL, 'verify', *(['--secret-fd', str(fd)] if fd is not None else []),
            *options, '--', *program]


def run(path, *options, program, **more):
    """Of a secret in a file; None: of none."""
    fd = os.open(path, os.O_RDONLY) if path else None
    try:
        return subprocess.run(command(fd, *options, program=program), capture_output=True,
                              pass_fds=[fd] if path else [], timeout=300, check=False, **more)
    finally:
        if path:
            os.close(fd)


class Said:
    """What it said of a way of the subject's."""

    def __init__(self, *way, options=(), subject=SUBJECT, program=None, probes=False, **more):
        with secret_file() as path:
            self.program = program(path) if program else [subject, way[0], path, *way[1:]]
            self.run = run(path, '--json', *(() if probes else ('--no-probes',)), *options,
                           program=self.program, **more)
        self.status = self.run.returncode
        try:
            self.json = json.loads(self.run.stdout)
        except ValueError:
            self.json = {'checks': [], 'stops': [], 'notes': [], 'processes': []}
        self.checks = {check['name']: check['status'] for check in self.json.get('checks', [])}

    def found(self, why):
        return [finding for stop in self.json.get('stops', []) if stop['why'] == why
                for finding in stop.get('findings', [])]

    def noted(self, words):
        return any(words in text for text in self.json.get('notes', []))

    def is_(self, good, sentence, missing=None):
        if not result(good, sentence, missing=missing) and not missing:
            note('exit status %d' % self.status)
            note(self.run.stderr.decode(errors='replace')[-2000:])
            note(json.dumps({name: self.json.get(name)
                             for name in ('verdict', 'error', 'checks', 'notes', 'exit')}))


def end(planned, *parts):
    """Goes through them. The exit status."""
    for part in parts:
        part()
    return DOCUMENT.end(planned)
