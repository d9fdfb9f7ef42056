#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""residue-table's own test: rows that are not as they say (rows_wrong.c), and what it
makes of each. A KTAP document on stdout.

    judge_test.py DIRECTORY
"""

import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / 'vm'))
import selftest  # noqa: E402  pylint: disable=wrong-import-position

PLACE = Path(sys.argv[1])
WRONG = PLACE / 'residue-row-wrong'
# Each row's result: how it begins, and what it says.
WANTED = {
    'no residue': ('not ok', 'the control finds nothing'),
    'elsewhere': ('not ok', 'the control finds nothing where the row is'),
    'left': ('not ok', 'copies are left'),
    'told': ('ok', 'since it is kept'),
    'stale': ('not ok', 'there are none where it is said that there have to be'),
    'ends': ('not ok', 'plainly: it ended with status 3'),
    'killed': ('not ok', 'plainly: it was killed by signal 9'),
    'ends in the section': ('not ok', 'mlock: it ended with status 4'),
    'mute': ('not ok', 'it told of no secret'),
    'weak': ('not ok', 'this secret cannot be searched for: see above'),
    'cannot': ('ok', '# SKIP what it needs is not here'),
}


def drive(*words):
    """What it says, and its exit status."""
    done = subprocess.run([PLACE / 'residue-table', *words], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False, text=True)
    return done.stdout.splitlines(), done.stderr, done.returncode


def row_test(row):
    """A test that this row is judged so."""
    def test():
        lines, _, status = drive('--backend', 'mlock', '--row', row, WRONG)
        start, says = WANTED[row]
        found = [line for line in lines if re.match(rf'(not )?ok 1 - {row}, ', line)]
        selftest.equal((len(found), lines[1]), (1, '1..1'))
        if not found[0].startswith(f'{start} ') or not found[0].endswith(says):
            raise AssertionError(f'{found[0]!r} is not {start}, ... {says}')
        wanted = 4 if 'SKIP' in says else int(start == 'not ok')
        selftest.equal(status, wanted)
    test.__doc__ = f'a row that is wrong, "{row}": {": ".join(WANTED[row])}'
    return test


def recorded():
    """what is told is recorded with its clause, and what was not measured is not"""
    lines, _, _ = drive('--backend', 'mlock', WRONG)
    records = {line.split('\t')[1]: line.split('\t')
               for line in lines if line.startswith('# residue\t')}
    selftest.equal(sorted(records),
                   ['elsewhere', 'left', 'no residue', 'stale', 'told'])
    selftest.equal(records['told'][6], 'it is kept')
    selftest.equal(records['left'][6], '')
    selftest.equal([records['no residue'][i] for i in (3, 4)], ['0', '0'])


def unknown():
    """a row or backend that there is none of is refused, and what there is is named"""
    for words in (['--row', 'none such'], ['--backend', 'none such']):
        lines, said, status = drive(*words, WRONG)
        selftest.equal((lines, status), ([], 2))
        if 'mlock' not in said:
            raise AssertionError(said)


def several():
    """rows that are named are tried, in the program's order, and no others"""
    lines, _, _ = drive('--backend', 'mlock', '--row', 'told', '--row', 'left', WRONG)
    selftest.equal(lines[1], '1..2')
    selftest.equal([line.split(' - ')[1].split(',')[0] for line in lines
                    if re.match('(not )?ok ', line)], ['left', 'told'])


def no_program():
    """a row program that is none is no table with nothing in it"""
    lines, _, status = drive('/nonexistent')
    selftest.equal((lines[-1:][0][:9], status), ('Bail out!', 1))


if __name__ == '__main__':
    sys.exit(selftest.run([*map(row_test, WANTED), recorded, unknown, several,
                           no_program]))
