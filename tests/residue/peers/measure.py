# SPDX-License-Identifier: MIT
"""Measuring the cells of the table of peers, each by the same searcher.

A cell is one process: it takes a new secret, does the row's work under the peer's
protection, and stands still right after it, while lethectl scan attaches. Counted are
copies of the secret, in whichever of its forms, runs of 8 bytes or more, in all of its
memory and in its threads' registers.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from searcher import Unsearched, count, fresh  # pylint: disable=C0413

BUILD = Path(os.environ.get('O', 'build'))
LETHECTL = BUILD / 'bin/lethectl'
RESIDUE = BUILD / 'tests/residue'
PLACE = RESIDUE / 'peers'

CANNOT_BE_ASKED = 77
# The number of the system call in which a program waits for its search.
PAUSE = '34'
# A thousand times what it takes.
PATIENCE = 60

# In the table's order: a name, its column's title, and the control of its rows.
PEERS = [
    ('nothing', 'nothing done', None),
    ('explicit_bzero', '`explicit_bzero`', 'nothing'),
    ('libsodium', 'libsodium', 'nothing'),
    ('openssl', 'OpenSSL', 'nothing'),
    ('libgcrypt', 'libgcrypt', 'nothing'),
    ('gcc', 'gcc', 'nothing'),
    ('memfd_secret', '`memfd_secret`', 'nothing'),
    ('go26', 'Go 1.26', 'go26-nothing'),
    ('go26-gc', 'Go 1.26, GC', 'go26-nothing'),
    ('go', 'Go 1.27', 'go-nothing'),
    ('go-gc', 'Go 1.27, GC', 'go-nothing'),
    ('go-c', 'C in Go', 'nothing'),
    ('lethe', 'Lethe', 'nothing'),
]
# The Go that the columns are of: another may leave residue in other places.
GO_VERSIONS = {'go26': 'go1.26', 'go': 'go1.27'}
# Measured, and no column of the table: the controls of Go's; and Lethe on pages that the
# searcher can read, for what is there and only out of sight otherwise.
CONTROLS = [('go26-nothing', 'Go 1.26, nothing done', None),
            ('go-nothing', 'Go 1.27, nothing done', None),
            ('lethe-mlock', 'Lethe on mlock', None)]
NAMES = [name for name, *_ in PEERS + CONTROLS]


class Unmeasured(Unsearched):
    """A cell that should have been and was not: never taken for clean."""


class Cell:
    """What was found: copies by the kind of place. Or why nothing could be."""

    def __init__(self, places=None, why=None):
        self.places = places or {}
        self.why = why

    @property
    def copies(self):
        """Everywhere that is the process's own."""
        return sum(copies for where, copies in self.places.items() if where != 'kernel')

    def has(self, where):
        """Is there a copy in this kind of place?"""
        return self.copies > 0 if where == 'any' else self.places.get(where, 0) > 0

    def __str__(self):
        """In words."""
        return self.why or ', '.join(f'{copies} {where}' for where, copies
                                     in sorted(self.places.items())) or 'nowhere'


def program(peer):
    """Its command."""
    if peer == 'lethe-mlock':
        peer = 'lethe'
    name, _, option = peer.partition('-')
    if peer == 'go-c' or name not in GO_VERSIONS:
        return [PLACE / f'residue-peer-{peer}']
    return [PLACE / f'residue-peer-{name}', *([f'-{option}'] if option else [])]


def environment(peer):
    """memfd_secret is the backend that needs no module. And Go sends no signals of
    its own, which would be in the rows about signals."""
    backend = 'mlock' if peer == 'lethe-mlock' else 'memfd_secret'
    env = {name: value for name, value in os.environ.items()
           if not name.startswith('LETHE_') and name != 'GLIBC_TUNABLES'}
    return env | {'LETHE_BACKEND': backend, 'GODEBUG': 'asyncpreemptoff=1'}


def missing(peer):
    """Why there is no such program, or None."""
    path = program(peer)[0]
    note = Path(f'{path}.missing')
    if note.exists():
        return note.read_text(encoding='utf-8').strip()
    return None if path.exists() else 'it is not built'


def is_still(pid):
    """Is it in its pause()?"""
    try:
        call = Path(f'/proc/{pid}/syscall').read_text(encoding='utf-8')
    except ProcessLookupError:
        return False
    return call.split()[:1] == [PAUSE]


def wait_still(process, name):
    """Until it is past the piece; False if it says that this cannot be asked."""
    end = time.monotonic() + PATIENCE
    while process.poll() is None:
        if is_still(process.pid):
            return True
        if time.monotonic() > end:
            raise Unmeasured(f'{name} does not come to its end')
        time.sleep(0.002)
    if process.returncode != CANNOT_BE_ASKED:
        raise Unmeasured(f'{name} ended with status {process.returncode}')
    return False


def measure(peer, row):
    """One cell."""
    secret = fresh()
    with subprocess.Popen([*program(peer), row], stdin=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=environment(peer)) as process:
        try:
            # Into the pipe it fits whole, also where nobody reads it.
            try:
                process.stdin.write(secret)
                process.stdin.close()
            except BrokenPipeError:
                pass
            if wait_still(process, f'{peer}, {row}'):
                return Cell(count(LETHECTL, process.pid, [secret])[0])
            return Cell(why=process.stderr.read().decode().strip())
        finally:
            process.kill()


def lines_of(peer, option):
    """What its program says of itself."""
    return subprocess.run([program(peer)[0], option], stdout=subprocess.PIPE, check=True,
                          text=True).stdout.splitlines()


class Measured:
    """Rows, peers, and their cells."""

    def __init__(self):
        self.rows = [line.split('\t') for line in lines_of('nothing', '--rows')]
        self.missing = {peer: missing(peer) for peer in NAMES}
        self.promises = {peer: () if self.missing[peer] else
                         lines_of(peer, '--promises')[0].split() for peer in NAMES}
        self.cells = {(row, peer): Cell(why=self.missing[peer]) if self.missing[peer]
                      else measure(peer, row)
                      for row, *_ in self.rows for peer in NAMES}
        for peer in NAMES:
            cells = [self.cells[row, peer] for row, *_ in self.rows]
            if all(cell.why for cell in cells):
                self.missing[peer] = cells[0].why

    def left(self, row, control):
        """What this row leaves in a control, which has the secret itself besides: it
        does not wipe it."""
        copies = self.cells[row, control].copies
        return copies if row == 'own' else copies - self.cells['own', control].copies

    def text(self, row, peer):
        """A cell as the table has it: in brackets what the peer never promised."""
        cell = self.cells[row, peer]
        if cell.why:
            return '-'
        if peer == 'nothing' or row in self.promises[peer]:
            return str(cell.copies)
        return f'({cell.copies})'

    def other_go(self, peer):
        """Is it another Go than the one that its column is of?"""
        name = peer.partition('-')[0]
        if name not in GO_VERSIONS or self.missing[name]:
            return False
        said = re.match(r'go1\.\d+', lines_of(name, '--version')[0])
        return not said or said[0] != GO_VERSIONS[name]

    def write_tsv(self, path):
        """Every cell: row, peer, promised or not, copies, and where they are, or why
        there is no such cell."""
        with path.open('w', encoding='utf-8') as out:
            print('row', 'peer', 'promised', 'copies', 'where', sep='\t', file=out)
            for (row, peer), cell in self.cells.items():
                print(row, peer, 'yes' if row in self.promises[peer] else 'no',
                      '-' if cell.why else cell.copies, cell, sep='\t', file=out)
