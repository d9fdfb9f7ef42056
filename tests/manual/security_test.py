#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""security.py, tried on a document that is right, and on what must not pass for it.

    security_test.py

Each of the latter is that document, or the results that it is held against, with one
thing changed. Prints KTAP.
"""

import sys
import tempfile
from pathlib import Path

import security
from security import Run, check, tap

KERNELS = ['6.1', '6.12']

# One attacker's table; the others have the same.
TABLE = '''### NAME

Has an account.

| asset | `kmod` | `memfd_secret` | `mlock` |
|---|---|---|---|
| pages, by ptrace | nothing [1] | nothing [2] | all [3] |
| registers | all [1] | all [2] | all [2] |
| left | nothing [1] | nothing [2] | nothing [3] |
| ended | nothing [1] | nothing [2] | nothing [4] |

1. `vm-reach::a read is refused: EIO`, ``vm-reach::of `ptrace` nothing
   (... bytes)``
2. `reach-memfd_secret::a read is refused: EIO`, `residue::kcore, memfd_secret: 0`
3. `residue::kcore, mlock: some`
4. Not shown, because the kernel zeroes what it
   gives to another.

'''
DOCUMENT = '# Security\n\nSee `unit::seal::works`.\n\n' + ''.join(
    TABLE.replace('NAME', name) for name in security.ATTACKERS) + '## Out of scope\n\n1. `x`\n'


def document(*points):
    """A KTAP document."""
    return '\n'.join(['KTAP version 1', f'1..{len(points)}', *points]) + '\n'


def record(row, backend, copies, why=''):
    """As record.h writes it."""
    return '\t'.join(['# residue', row, backend, '5', str(copies), '4096', why])


GUEST = document('ok 1 - a read is refused: EIO', 'ok 2 - of `ptrace` nothing (77 bytes)')
RESULTS = {
    'vm-reach-6.1': GUEST,
    'vm-reach-6.12': document('ok 1 - the machine comes to its end') + GUEST,
    'reach-memfd_secret': document(
        'ok 1 - a read is refused: EIO', record('kcore', 'memfd_secret', 0),
        record('kcore', 'mlock', 12, 'it is mapped')),
    'unit': 'TAP version 13\n1..1\nok - seal::works  (0.37s)\n',
}

# Sentence, what is changed in the document, what in which results, what must be found.
WRONG = [
    ('a test that is nowhere', ('a read is refused: EIO`,', 'a read is refused: EPERM`,'),
     None, 'vm-reach-6.1 has no such point'),
    ('a test that another test\'s name begins with', ('seal::works`', 'seal::work`'), None,
     'unit has no such point'),
    ('a suite that is nowhere', ('`reach-memfd_secret::', '`reach-mlock::'), None,
     'this run has no suite reach-mlock'),
    ('a test that is absent on one kernel', None,
     ('vm-reach-6.12', 'ok 1 - a read is refused: EIO', 'ok 1 - a read'),
     'vm-reach-6.12 has no such point'),
    ('a test that failed on one kernel', None,
     ('vm-reach-6.12', 'ok 1 - a read is', 'not ok 1 - a read is'), 'not ok - a read'),
    ('a test that failed', None, ('unit', 'ok - seal', 'not ok - seal'), 'not ok - seal'),
    ('one of two of the same name that failed', None,
     ('vm-reach-6.1', GUEST, GUEST + GUEST.replace('ok 1', 'not ok 1')), 'not ok - a read'),
    ('results that are not there', None, ('unit', None, None), 'unit.tap'),
    ('a cell that is empty', ('| nothing [1] | nothing [2] | all [3] |',
                              '| nothing [1] |  | all [3] |'), None, 'says nothing'),
    ('a cell with a test and no word', ('| nothing [1] | nothing [2] | all [3] |',
                                        '| nothing [1] | [2] | all [3] |'), None,
     'says nothing'),
    ('a cell without a test or a reason',
     ('| nothing [1] | nothing [2] | all [3] |', '| nothing [1] | nothing | all [3] |'), None,
     'neither a test nor a reason'),
    ('a row with a cell too few', ('| left | nothing [1] |', '| left |'), None, 'has 2 cells'),
    ('a note that is not there', ('nothing [4]', 'nothing [5]'), None, 'there is no note 5'),
    ('a note that no cell has', ('nothing [4]', 'nothing [3]'), None, 'no cell has note 4'),
    ('a note without a test', ('`residue::kcore, mlock: some`', 'By a search.'), None,
     'names no test'),
    ('a reason that is none', ('because the kernel', 'since the kernel'), None,
     'names no test'),
    ('an asset without a row', ('| ended |', '| gone |'), None, 'there is no row of ended'),
    ('a row of no asset', ('| left |', '| pagesize |'), None, 'is of no asset'),
    ('a backend without a column', ('| `memfd_secret` |', '| `memfd` |'), None,
     'the columns are'),
    ('an attacker who is left out', ('### Cold boot', '### Warm boot'), None, 'there are'),
    ('nothing that was something', ('kcore, mlock: some', 'kcore, mlock: 0'), None,
     '12 copies'),
    ('something that was nothing', ('kcore, memfd_secret: 0', 'kcore, memfd_secret: some'),
     None, 'there was no copy anywhere'),
    ('a row whose control found nothing', None,
     ('reach-memfd_secret', 'memfd_secret\t5', 'memfd_secret\t0'),
     'its control found nothing'),
    ('a row that was not measured', ('kcore, memfd_secret: 0', 'kcore, kmod: 0'), None,
     'it was not measured'),
    ('a row that is none', ('kcore, memfd_secret: 0', 'core, memfd_secret: 0'), None,
     'no such row'),
    ('a number that is neither', ('kcore, mlock: some', 'kcore, mlock: 12'), None,
     'no such row'),
]

# What is no pass, and no failure: the sentence, the results, what of the run.
SKIPPED = [
    ('a test that was skipped', ('unit', 'works  (0.37s)', 'works # SKIP no seal'),
     'unit: no seal'),
    ('a test of a program that was skipped', ('unit', '1..1\nok - seal::works  (0.37s)',
                                              '1..0 # SKIP no unit'), 'unit: no unit'),
]


def points_of(text, results, *, some=False, left_out=()):
    """What security.py says."""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for stem, content in results.items():
            if stem in left_out:
                continue
            path = Path(folder) / f'{stem}.tap'
            if content is not None:
                path.write_text(content, encoding='utf-8')
            paths.append(path)
        return check(text, Run(paths, KERNELS, ['vm-reach', 'vm-other'], some))


def changed(results, change):
    """The results with one thing else."""
    stem, old, new = change
    if old is None:
        return {**results, stem: None}
    assert old in results[stem], old
    return {**results, stem: results[stem].replace(old, new, 1)}


def good(points):
    """All of them."""
    return all(ok for ok, _, _ in points)


def is_found(points, what):
    """Something is wrong, and that is said."""
    return not good(points) and any(
        what in note for ok, _, notes in points if not ok for note in notes)


def skips(points):
    """What is skipped, and why."""
    return [sentence.partition(' # SKIP ')[2] for ok, sentence, _ in points
            if ok and ' # SKIP ' in sentence]


def main():
    right = points_of(DOCUMENT, RESULTS)
    results = [(good(right) and not skips(right) and len(right) == 1 + 9 + 6,
                'a document that is right is: its tables, and each test that it names once',
                [f'{ok} {sentence} {notes}' for ok, sentence, notes in right])]
    for sentence, text, change, what in WRONG:
        wrong = DOCUMENT
        if text:
            assert text[0] in DOCUMENT, text
            wrong = DOCUMENT.replace(*text, 1)
        points = points_of(wrong, changed(RESULTS, change) if change else RESULTS)
        results.append((is_found(points, what), f'{sentence} is found', [what]))
    for sentence, change, why in SKIPPED:
        points = points_of(DOCUMENT, changed(RESULTS, change))
        results.append((good(points) and skips(points) == [why],
                        f'{sentence} is skipped, and not passed', skips(points)))
    once = ('vm-reach-6.1', 'refused: EIO', 'refused: EIO # SKIP no disk')
    points = points_of(DOCUMENT, changed(RESULTS, once))
    told = [note for ok, _, notes in points if ok for note in notes]
    results.append((good(points) and not skips(points)
                    and told == ['skipped: vm-reach-6.1: no disk'],
                    'one that was skipped on one kernel is so said', told))
    points = points_of(DOCUMENT, changed(changed(RESULTS, once), (
        'vm-reach-6.12', once[1], once[2])))
    results.append((good(points) and skips(points) == ['vm-reach-6.1: no disk'],
                    'one that was skipped on both is skipped', skips(points)))
    both = ('vm-reach-6.1', 'vm-reach-6.12')
    points = points_of(DOCUMENT, RESULTS, left_out=both[:1], some=True)
    results.append((good(points) and not skips(points),
                    'of a kernel that was not chosen nothing is asked', []))
    points = points_of(DOCUMENT, RESULTS, left_out=both, some=True)
    results.append((good(points) and len(skips(points)) == 2,
                    'if none of those was chosen, it is skipped', skips(points)))
    points = points_of(DOCUMENT, RESULTS, left_out=both)
    results.append((is_found(points, 'this run has no suite vm-reach'),
                    'if all were, it is found that it is not there', []))
    points = points_of(DOCUMENT.replace('vm-reach::of', 'vm-raech::of'), RESULTS, some=True)
    results.append((is_found(points, 'this run has no suite vm-raech'),
                    'a suite that is none is found, whatever was chosen', []))
    print(tap.write([(ok, sentence, [] if ok else notes)
                     for ok, sentence, notes in results]), end='')
    return 0 if good(results) else 1


if __name__ == '__main__':
    sys.exit(main())
