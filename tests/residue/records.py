# SPDX-License-Identifier: MIT
"""The rows of the residue table: which there are, and what suites have measured of them.

A record is a line "# residue", with tabs, of a KTAP document (record.h). Where it was
measured is in the name of the document's file: a virtual machine's ends in its kernel.
Judges nothing but what no run can change: what is wrong with a record by itself.
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'vm'))
from kernel import KERNELS  # noqa: E402  pylint: disable=wrong-import-position

# In the table's order. A new row is entered here too, or its records are refused.
ROWS = [
    'general registers', 'x87/MMX', 'MXCSR', 'xmm/ymm 0-15', 'zmm 0-15 upper',
    'zmm16-31', 'k0-k7', 'secret stack', "caller's dead stack", 'red zone',
    "alternate signal stack, the program's", "alternate signal stack, the library's",
    'signal frame', 'SIGSEGV handler with siglongjmp', 'longjmp out', 'C++ exception',
    'pthread_exit', 'pthread_cancel', 'exit inside', 'exec inside', 'fork child',
    'nested', 'stack at its limit',

    'heap freed inside', 'heap freed outside', 'realloc grown', 'calloc reuse',
    'never freed under SCOPED_HEAP', 'libcrypto AES-GCM key schedule',
    'X25519 private key', 'X25519 shared secret', 'RSA key generation',
    'cold RAND_bytes', 'TLS handshake', 'libsodium argon2id', 'libsodium secretbox',
    'libgcrypt AES-GCM', 'snprintf of a hex key', 'fprintf of a hex key',
    'getline from a pipe', 'getline from a terminal',

    'SIGKILL inside', 'abort with a core dump', 'OOM kill', 'guest RAM at section end',
    'guest RAM at region close', 'guest RAM at exit', 'guest RAM at kill',
    'guest RAM at module unload', 'swap disk', 'swap file', 'zram',
    'hibernation image, wipe', 'hibernation image, veto', 'kcore',
    'XSAVE area after preemption', 'dead kernel stack', 'pt_regs',
]

BACKENDS = ['kmod', 'memfd_secret', 'mlock']

# The cells that no machine here can fill, and why. One that is filled all the same has no
# business here.
NO_MODULE = 'there is no module'
ABSENT = {
    ('guest RAM at module unload', 'memfd_secret'): NO_MODULE,
    ('guest RAM at module unload', 'mlock'): NO_MODULE,
}

NATIVE = 'native'
PLACES = [NATIVE, *KERNELS]


@dataclass(frozen=True)
class Record:
    """One row, measured once."""
    row: str
    where: str
    backend: str
    control: int
    copies: int
    searched: int
    why: str

    @property
    def base(self):
        """The backend, of "memfd_secret, LETHE_COMPLETE"."""
        return self.backend.partition(',')[0]

    @property
    def wrong(self):
        """What cannot be, in a clause; or None."""
        if self.row not in ROWS:
            return 'no row of the list in tests/residue/records.py'
        if self.base not in BACKENDS:
            return f'its backend is none of {", ".join(BACKENDS)}'
        if not self.searched:
            return 'nothing was searched'
        if not self.control:
            return 'its control found nothing'
        if self.copies and self.base == 'kmod':
            return f'copies on the module: {self.copies}'
        if self.copies and not self.why:
            return f'copies: {self.copies}, and no clause on why'
        return None

    @property
    def verdict(self):
        """A word, for build/residue.tsv."""
        if self.wrong:
            return 'wrong'
        return 'told' if self.copies else 'clean'

    def __str__(self):
        return f'{self.row}, {self.backend}, {self.where}'


class TableError(Exception):
    """What is taken for a record and is none; or cannot be asked."""


def place(path):
    """Where a suite ran, by the name of its results."""
    kernel = next((name for name in KERNELS if path.stem.endswith(f'-{name}')), None)
    return kernel if path.stem.startswith('vm-') and kernel else NATIVE


def _record(line, where):
    fields = line.split('\t')
    if len(fields) != 7 or not all(map(str.isdigit, fields[3:6])):
        raise TableError(f'no record: {line!r}')
    row, backend = fields[1:3]
    return Record(row, where, backend, *map(int, fields[3:6]), fields[6])


def read(paths):
    """All records of these files, in the order of rows, places and backends."""
    found = []
    for path in paths:
        text = path.read_text(encoding='utf-8', errors='replace').replace('\r', '')
        found += [_record(line, place(path)) for line in text.split('\n')
                  if re.match(r'# residue\t', line)]
    return sorted(found, key=lambda one: (
        ROWS.index(one.row) if one.row in ROWS else len(ROWS),
        PLACES.index(one.where),
        BACKENDS.index(one.base) if one.base in BACKENDS else len(BACKENDS),
        one.backend))


def left_out(paths):
    """{(row, backend): why} of what a machine's processor does not have: a row's point
    that was skipped for that, and nothing else that was skipped."""
    found = {}
    for path in paths:
        text = path.read_text(encoding='utf-8', errors='replace')
        for row, backend, why in re.findall(
                r'^ok \d+ - (.+), (\w+) # SKIP (the processor has no .+?)\r?$', text, re.M):
            if row in ROWS and backend in BACKENDS:
                found[row, backend] = why
    return found


def faults(records, excused=()):
    """All that is wrong, in sentences. `excused` cells may be measured nowhere."""
    for record in records:
        if record.wrong:
            yield f'{record}: {record.wrong}'
    cells = {(record.row, record.base) for record in records}
    for row in ROWS:
        if not any(have == row for have, _ in cells):
            yield f'{row}: measured nowhere'
            continue
        for backend in BACKENDS:
            cell = (row, backend)
            if cell in excused and cell not in cells:
                continue
            if (cell in cells) == (cell in ABSENT):
                yield (f'{row}, {backend}: ' +
                       ('measured, and said not to be in tests/residue/records.py'
                        if cell in cells else 'measured nowhere'))
